"""The checks of a task's inputs.

They run twice: when a tree is created, over what its author wrote, and again over the resolved inputs of each attempt. No
message shows what may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from attrs import frozen

from apflow_hookspecs import Problem
from apflow_hookspecs.errors import shortened

LATER: Final = object()
"""Stands for a value that is only known when the attempt begins."""

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CREDENTIALS: Final[Mapping[str, tuple[str, ...]]] = {
    "bearer": ("token",),
    "basic": ("username", "password"),
    "apikey": ("key", "value"),
}
"""What each type of `auth` needs."""

LONGEST_PATH: Final = 4096
LONGEST_NAME: Final = 255
MOST_FOLDERS: Final = 32

_CREDENTIAL_NAMES = {"type", "location", *(name for names in CREDENTIALS.values() for name in names)}
_REFERENCES = frozenset({"$from", "$secret", "$literal"})
_SHOWN = frozenset({"method", "timeout", "verify", "redirects", "expect", "save_to", "idempotency_key"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110, 5.5
_CLASS = re.compile(r"[2-5]xx")
_RESERVED = frozenset({
    "accept-encoding", "connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
"""Headers that say how a message is carried, which is not its author's to decide."""


@frozen
class Limits:
    """What the operator allows.

    Args:
        timeout: Seconds that a request may take.
        redirects: How many may be followed.
        saves: Whether there is a folder in which to save.
    """

    timeout: float
    redirects: int
    saves: bool


def known(value: Any) -> Any:
    """What an author wrote, with `LATER` in place of each reference."""
    if isinstance(value, list):
        return [known(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {name: known(item) for name, item in value.items()} if _REFERENCES.isdisjoint(value) else LATER


def problems(inputs: Mapping[str, Any], limits: Limits) -> Iterator[Problem]:
    """What is wrong with the inputs of a request, `LATER` passing every check that it can; null is as good as absent."""
    given = {name: value for name, value in inputs.items() if value is not None}
    for name, check in _CHECKS.items():
        if name in given and given[name] is not LATER:
            yield from (_problem(name, given[name], rule) for rule in check(given[name], limits))
    if "url" not in given:
        yield Problem("url is missing: where the request goes, as https://example.org/items", field="inputs.url")
    yield from (_problem(name, given[name], rule) for name, rule in _conflicts(given))


def unknown_inputs(inputs: Iterable[str]) -> Iterator[Problem]:
    """A problem for each input that means nothing here."""
    for name in inputs:
        if name not in FIELDS:
            near = get_close_matches(name, FIELDS, 1)
            rule = f"did you mean {near[0]}?" if near else f"it takes {', '.join(FIELDS)}"
            yield _problem(name, None, f"rest_executor takes no such input; {rule}")


def secrets(written: Mapping[str, Any]) -> Iterator[Problem]:
    """A problem for each input that its author made a secret, and that is told in messages or results."""
    for name, value in written.items():
        if name in _SHOWN and _names_secret(value):
            yield _problem(name, value, "must not be a secret")


def _names_secret(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_names_secret, value))
    return isinstance(value, Mapping) and "$secret" in value


def _problem(name: str, value: Any, rule: str) -> Problem:
    return Problem(rule, field=f"inputs.{name}", value=value if name in _SHOWN else Hidden())


class Hidden:
    """Stands in a message for a value that may be a secret."""

    def __repr__(self) -> str:
        return "…"


def _url(value: Any, _: Limits) -> Iterator[str]:
    if not isinstance(value, str) or not value.lower().startswith(("http://", "https://")):
        yield "must be a text that begins with http:// or https://"
    else:
        yield from _encodable(value)


def _method(value: Any, _: Limits) -> Iterator[str]:
    if not isinstance(value, str) or value.upper() not in METHODS:
        yield f"must be one of {', '.join(METHODS)}"


def _headers(value: Any, _: Limits) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield "must be an object of texts and numbers"
        return
    for name, text in value.items():
        yield from _header(name, text)
    if len({name.lower() for name in value}) < len(value):
        yield "must name each header once; upper and lower case are the same"


def _header(name: str, value: Any) -> Iterator[str]:
    if not _TOKEN.fullmatch(name):
        yield f"{shortened(name)} is no name of a header: letters, digits and !#$%&'*+.^_`|~-"
    elif name.lower() in _RESERVED:
        yield f"{name} is set by the client itself"
    elif value is not LATER and not (_plain(value) and _HEADER_VALUE.fullmatch(str(value))):
        yield f"{name} must be a number, or a text of ISO 8859-1 without line breaks and control characters"


def _params(value: Any, _: Limits) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield "must be an object of texts, numbers, truth values and lists of these"
        return
    for name, item in value.items():
        for each in item if isinstance(item, list) else [item]:
            if each is not LATER and not _plain(each) and not isinstance(each, bool):
                yield f"{shortened(name)} must be a text, a number, a truth value or a list of these"
            else:
                yield from _encodable(each)


def _data(value: Any, limits: Limits) -> Iterator[str]:
    yield from _encodable(value) if isinstance(value, str) else _params(value, limits)


def _auth(value: Any, _: Limits) -> Iterator[str]:
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind is LATER:
        return
    needed = CREDENTIALS.get(kind.lower()) if isinstance(kind, str) else None
    if needed is None:
        yield f"must be an object with a type: {', '.join(CREDENTIALS)}"
        return
    for name in value.keys() - _CREDENTIAL_NAMES:
        yield f"{shortened(name)} is unknown; {kind} needs {' and '.join(needed)}"
    yield from _credentials(value, needed)
    location = value.get("location")
    if location is not None and location is not LATER and str(location).lower() not in ("header", "query"):
        yield "location must be header or query"


def _credentials(auth: Mapping[str, Any], needed: tuple[str, ...]) -> Iterator[str]:
    for name in needed:
        text = auth.get(name)
        if text is LATER:
            continue
        if not isinstance(text, str) or (not text and name != "password"):
            yield f"{name} is missing, or no text"
        elif name == "key" and str(auth.get("location") or "header").lower() == "header":
            yield from _header(text, "")
        elif name == "username" and ":" in text:
            yield "username must not hold ':'"
        elif name in ("token", "value") and not _HEADER_VALUE.fullmatch(text):
            yield f"{name} must be a text of ISO 8859-1 without line breaks and control characters"
        else:
            yield from _encodable(text)


def _timeout(value: Any, limits: Limits) -> Iterator[str]:
    if not _is_number(value) or not value > 0:
        yield "must be a number of seconds above 0"
    elif value > limits.timeout:
        yield f"must be at most what the operator allows, {limits.timeout:g} seconds (guard.timeout)"


def _verify(value: Any, _: Limits) -> Iterator[str]:
    if value is not True:
        yield "must be true: whose certificate is not checked is the operator's to say (guard.unverified)"


def _redirects(value: Any, limits: Limits) -> Iterator[str]:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        yield "must be an integer from 0"
    elif value > limits.redirects:
        yield f"must be at most what the operator allows, {limits.redirects} (guard.max_redirects)"


def _expect(value: Any, _: Limits) -> Iterator[str]:
    if not isinstance(value, list) or not value or not all(each is LATER or _is_status(each) for each in value):
        yield 'must be a list of status codes from 200 to 599 and classes such as "2xx"'


def _save_to(value: Any, limits: Limits) -> Iterator[str]:
    if not limits.saves:
        yield "saves nothing here: the operator has named no folder for it (http.root)"
    elif not isinstance(value, str) or not value or len(value) > LONGEST_PATH:
        yield f"must be a path of 1 to {LONGEST_PATH} characters"
    elif not {"", ".", ".."}.isdisjoint(value.split("/")):
        yield "must be a path relative to the operator's folder, without '.', '..' and empty parts"
    elif value.count("/") > MOST_FOLDERS:
        yield f"must lead through at most {MOST_FOLDERS} folders"
    elif not value.isprintable():
        yield "must not hold control characters and others that cannot be printed"
    elif not all(map(str.strip, value.split("/"))):
        yield "must not have a part that is blank"
    elif max(len(part.encode()) for part in value.split("/")) > LONGEST_NAME:
        yield f"must have parts of at most {LONGEST_NAME} bytes in UTF-8"


def _idempotency_key(value: Any, _: Limits) -> Iterator[str]:
    if not isinstance(value, bool):
        yield "must be true or false"


def _conflicts(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Inputs that exclude each other, with the rule for the second."""
    headers, auth = given.get("headers"), given.get("auth")
    named = {name.lower() for name in headers} if isinstance(headers, Mapping) else set()
    if "json" in given and "data" in given:
        yield "data", "a request has one body: json or data"
    if "save_to" in given and str(given.get("method")).upper() == "HEAD":
        yield "save_to", "the answer to HEAD has no body"
    if isinstance(auth, Mapping) and _header_of(auth) in named:
        yield "auth", "headers say the same already; give one of them"
    if given.get("idempotency_key") is True and "idempotency-key" in named:
        yield "idempotency_key", "headers have an Idempotency-Key of their own; give one of them"


def _header_of(auth: Mapping[str, Any]) -> str:
    """The header, in lower case, that an `auth` will set, as far as it is known; empty where it sets none."""
    if str(auth.get("type")).lower() != "apikey":
        return "authorization"
    return "" if str(auth.get("location")).lower() == "query" else str(auth.get("key")).lower()


def _encodable(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            yield "must be text that UTF-8 can hold"


def _plain(value: Any) -> bool:
    return isinstance(value, str) or _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_status(value: Any) -> bool:
    if isinstance(value, str):
        return _CLASS.fullmatch(value.lower()) is not None
    return isinstance(value, int) and 200 <= value <= 599  # noqa: PLR2004 - RFC 9110, 15


_CHECKS: Final[Mapping[str, Callable[[Any, Limits], Iterable[str]]]] = {
    "url": _url,
    "method": _method,
    "headers": _headers,
    "params": _params,
    "data": _data,
    "auth": _auth,
    "timeout": _timeout,
    "verify": _verify,
    "redirects": _redirects,
    "expect": _expect,
    "save_to": _save_to,
    "idempotency_key": _idempotency_key,
}
FIELDS: Final = ("json", *_CHECKS)
