"""The page of all operations, for people: one file without scripts, which asks nobody else for anything."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import Any

from attrs import frozen

from apflow_hookspecs import ApflowError, Json
from apflow_hookspecs.errors import BY_CODE
from apflow_server.components import Components, JsonSchema
from apflow_server.errors import status_of
from apflow_server.rest import ROUTES
from apflow_server.samples import curl, sample_params
from apflow_server.wording import default_of, described, in_words

STYLE = files("apflow_server").joinpath("page.css").read_text(encoding="utf-8")
POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The `Content-Security-Policy` of the page: nothing but its own style."""

SERVER = "http://the.server.invalid"
"""What stands in the page where the address of the server is to be put."""


@frozen
class Page:
    """What the page tells.

    Args:
        title: Its title.
        operations: As `Engine.describe` tells them.
        samples: Of parameters, by name.
        guarded: Whether a credential is asked for.
    """

    title: str
    operations: tuple[dict[str, Any], ...]
    samples: Mapping[str, Json]
    guarded: bool

    def html(self) -> str:
        """The page, with `SERVER` where the server's address belongs."""
        components = Components()
        articles = [(told["name"].partition(".")[0], self._operation(told, components)) for told in self.operations]
        by_space = [(space, [article for _, article in of]) for space, of in groupby(articles, key=lambda each: each[0])]
        sections = "".join(f"<h2>{escape(space)}</h2>{''.join(found)}" for space, found in by_space)
        parts = "".join(_part(name, schema) for name, schema in sorted(components.schemas.items()))
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{STYLE}</style></head><body>"
            f"<header><h1>{escape(self.title)}</h1>{self._introduction()}</header>"
            f'<div class="columns"><nav aria-label="Operations">{self._contents()}</nav>'
            f'<main>{sections}<h2 id="parts">Parts of results</h2>{parts}</main></div></body></html>'
        )

    def _introduction(self) -> str:
        credential = (
            "This server asks for a credential: the examples take a token from the variable <code>APFLOW_TOKEN</code>."
            if self.guarded
            else "This server asks nobody for a credential."
        )
        return (
            f"<p>Every operation is a method of JSON-RPC 2.0, at <code>{SERVER}/tasks</code>, or <code>/system</code> for "
            f"those of the system. Some are resources too. {credential}</p>"
            '<p>For programs: <a href="/openapi.json">OpenAPI</a>, <a href="/openrpc.json">OpenRPC</a>. '
            "A tree's events are a stream of server-sent events, <code>GET /tasks/{task_id}/events</code>; a client goes on "
            "where it was by the header <code>Last-Event-ID</code>.</p>"
        )

    def _contents(self) -> str:
        names = [told["name"] for told in self.operations]
        return "".join(
            f"<h2>{escape(space)}</h2><ul>{''.join(_entry(name) for name in found)}</ul>"
            for space, found in groupby(names, key=lambda name: name.partition(".")[0])
        )

    def _operation(self, told: dict[str, Any], components: Components) -> str:
        name = told["name"]
        line = curl(SERVER, name, sample_params(told["params"], self.samples), guarded=self.guarded)
        params, result = components.shared(told["params"]), components.shared(told["result"])
        places = " · ".join(f"{rest.method} {rest.path}" for rest in ROUTES if rest.operation == name)
        return (
            f'<article id="{escape(name)}"><span class="scope">scope {escape(told["scope"])}</span>'
            f'<h3><a href="#{escape(name)}"><code>{escape(name)}</code></a></h3><p>{escape(told["summary"])}</p>'
            + (f'<p class="places"><code>{escape(places)}</code></p>' if places else "")
            + _fields("Parameters", params)
            + f'<h4>Result</h4><p class="kind">{_linked(result, components)}</p>'
            + f'<h4>Refusals</h4><ul class="errors">{"".join(map(_refusal, told["errors"]))}</ul>'
            + f"<h4>Example</h4><pre><code>{escape(line, quote=False)}</code></pre></article>"
        )


def _entry(name: str) -> str:
    return f'<li><a href="#{escape(name)}"><code>{escape(name)}</code></a></li>'


def _part(name: str, schema: JsonSchema) -> str:
    text = f"<p>{escape(schema['description'])}</p>" if "description" in schema else ""
    kind = f'<p class="kind">{escape(in_words(schema))}</p>' if "properties" not in schema else ""
    title = f"<h3><code>{escape(name)}</code></h3>"
    return f'<article id="part-{escape(name)}">{title}{text}{kind}{_fields("Fields", schema)}</article>'


def _fields(title: str, schema: JsonSchema) -> str:
    properties, required = schema.get("properties", {}), schema.get("required", ())
    if not properties:
        return ""
    return f"<h4>{title}</h4><dl>{''.join(_field(name, part, name in required) for name, part in properties.items())}</dl>"


def _field(name: str, schema: JsonSchema, required: bool) -> str:  # noqa: FBT001 - as the schema has it
    default = default_of(schema)
    told: Iterable[str | None] = (in_words(schema), None if required else "optional", default and f"default {default}")
    kind = "; ".join(part for part in told if part)
    text = f"<dd>{escape(described(schema))}</dd>" if described(schema) else ""
    return f'<dt><code>{escape(name)}</code> <span class="kind">{escape(kind)}</span></dt>{text}'


def _linked(result: JsonSchema, components: Components) -> str:
    words = in_words(result)
    return f'<a href="#part-{escape(words)}"><code>{escape(words)}</code></a>' if words in components.schemas else escape(words)


def _refusal(error: dict[str, Any]) -> str:
    status = status_of(BY_CODE.get(error["code"], ApflowError)())
    return f"<li><code>{error['code']}</code> ({status}) {escape(error['message'])}</li>"
