"""What a task's inputs come to: one request, ready to be sent."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from attrs import frozen

from apflow_http.checks import Limits

TIMEOUT = 30.0
"""Seconds, where neither task nor operator says less."""


@frozen(kw_only=True)
class Wanted:
    """A request.

    Args:
        headers: Names and values, encoded.
        params: What is added to the URL's query: texts by name.
        hidden: The one of these that is a secret, and is not told in the result.
        timeout: Seconds, for all of it.
        redirects: How many are followed.
        expect: Statuses, and classes such as `2xx`, with which the task completes.
        save_to: Path under the operator's folder; None returns the body.
    """

    method: str
    url: str
    headers: tuple[tuple[bytes, bytes], ...]
    params: Mapping[str, list[str]]
    hidden: str | None
    body: bytes | None
    timeout: float
    redirects: int
    expect: frozenset[int | str]
    save_to: str | None

    def expects(self, status: int) -> bool:
        """Whether the task completes with a status."""
        return status in self.expect or f"{status // 100}xx" in self.expect


def wanted(inputs: Mapping[str, Any], limits: Limits, idempotency_key: str) -> Wanted:
    """The request for inputs that have no problems."""
    given = {name: value for name, value in inputs.items() if value is not None}
    auth = given.get("auth", {})
    content_type, body = _body(given)
    headers = {**given.get("headers", {}), **_auth_headers(auth)}
    if given.get("idempotency_key"):
        headers["Idempotency-Key"] = idempotency_key
    if content_type and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = content_type
    hidden = auth["key"] if _is_key_in_query(auth) else None
    return Wanted(
        method=given.get("method", "GET").upper(),
        url=given["url"],
        headers=tuple((name.encode(), str(value).strip(" \t").encode("latin-1")) for name, value in headers.items()),
        params=_texts(given.get("params", {})) | ({} if hidden is None else {hidden: [auth["value"]]}),
        hidden=hidden,
        body=body,
        timeout=given.get("timeout", min(TIMEOUT, limits.timeout)),
        redirects=given.get("redirects", 0),
        expect=frozenset(each.lower() if isinstance(each, str) else each for each in given.get("expect", ["2xx"])),
        save_to=given.get("save_to"),
    )


def _body(given: Mapping[str, Any]) -> tuple[str | None, bytes | None]:
    """The type of the content, and the content."""
    if "json" in given:
        return "application/json", json.dumps(given["json"]).encode()
    data = given.get("data")
    if isinstance(data, str):
        return "text/plain; charset=utf-8", data.encode()
    if data is not None:
        return "application/x-www-form-urlencoded", urlencode(_texts(data), doseq=True).encode()
    return None, None


def _auth_headers(auth: Mapping[str, Any]) -> dict[str, str]:
    match auth.get("type", "").lower():
        case "bearer":
            return {"Authorization": f"Bearer {auth['token']}"}
        case "basic":
            pair = f"{auth['username']}:{auth['password']}"
            return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        case "apikey" if not _is_key_in_query(auth):
            return {auth["key"]: auth["value"]}
    return {}


def _is_key_in_query(auth: Mapping[str, Any]) -> bool:
    return auth.get("type", "").lower() == "apikey" and (auth.get("location") or "header").lower() == "query"


def _texts(values: Mapping[str, Any]) -> dict[str, list[str]]:
    return {name: [_text(item) for item in (value if isinstance(value, list) else [value])] for name, value in values.items()}


def _text(value: str | float) -> str:
    """A value as JSON writes it: true, and not True."""
    return value if isinstance(value, str) else json.dumps(value)
