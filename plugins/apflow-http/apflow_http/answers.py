"""From a response to the result of a task, or to its error."""

from __future__ import annotations

import codecs
import contextlib
import json
import re
import time
from base64 import b64encode
from datetime import UTC
from email.message import Message
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

from apflow_hookspecs import Json, TaskFailed

SHOWN_CHARACTERS = 2000
"""Of a body that was not expected."""
LONGEST_PAUSE = 7 * 86_400.0
"""Seconds for which a server is believed when it asks to be left alone."""

_JSON = re.compile(r"application/json|.+\+json")
_TEXT = re.compile(
    r"text/.*|application/(javascript|ecmascript|xml|x-www-form-urlencoded|yaml|x-ndjson|graphql)|.+\+(xml|yaml)"
)
# Python also has codecs that are slow by design, and some that are no encodings of text.
_CHARSET = re.compile(
    r"utf-(8|16|32)(-(le|be|sig))?|ascii|(iso8859-|cp)\d+|koi8-[rut]|gb(2312|k|18030)|big5(hkscs)?|euc_(jp|kr)|shift_jis|iso2022_jp"
)


def origin(url: httpx.URL) -> str:
    """Scheme, host and port: what can be told of a URL, whose path and query may hold secrets."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def described(response: httpx.Response, hidden: str | None) -> dict[str, Json]:
    """What a result says of an answer beside its body.

    Args:
        response: The answer.
        hidden: A parameter of the query that is a secret.
    """
    url = response.url.copy_with(fragment=None, userinfo=b"")
    return {
        "success": response.is_success,
        "status_code": response.status_code,
        "url": str(url if hidden is None else url.copy_remove_param(hidden)),
        "method": response.request.method,
        "headers": _headers(response),
    }


def _headers(response: httpx.Response) -> dict[str, str]:
    """By name in lower case; a cookie is a credential, and left out."""
    return {name: value for name, value in response.headers.items() if name not in ("set-cookie", "set-cookie2")}


def content(response: httpx.Response) -> dict[str, Json]:
    """The body, as `json`, `text` or `base64`; nothing where an answer has none by definition."""
    if response.request.method == "HEAD" or response.status_code in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        return {}
    body, (media_type, charset) = response.content, _content_type(response)
    if _JSON.fullmatch(media_type):
        with contextlib.suppress(ValueError, RecursionError):
            return {"json": json.loads(body, parse_constant=_no_number)}
    text = _text(body, media_type, charset)
    return {"base64": b64encode(body).decode()} if text is None or "\0" in text else {"text": text}


def _content_type(response: httpx.Response) -> tuple[str, str | None]:
    """The media type in lower case, empty where none is told, and the encoding."""
    header = Message()
    header["Content-Type"] = response.headers.get("content-type", "")
    media_type = header.get_content_type() if "/" in response.headers.get("content-type", "") else ""
    return media_type, header.get_content_charset()


def _no_number(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _text(body: bytes, media_type: str, charset: str | None) -> str | None:
    """The body as text; None where it is none."""
    if charset is not None or _TEXT.fullmatch(media_type) or _JSON.fullmatch(media_type):
        return body.decode(_encoding(charset), errors="replace")
    with contextlib.suppress(UnicodeDecodeError):
        return None if media_type else body.decode()
    return None


def _encoding(charset: str | None) -> str:
    try:
        name = codecs.lookup(charset or "utf-8").name
    except (LookupError, ValueError):
        return "utf-8"
    return name if _CHARSET.fullmatch(name) else "utf-8"


async def refusal(response: httpx.Response) -> TaskFailed:
    """The failure of a task with an answer that was not expected; it reads as much of the body as it shows."""
    status = response.status_code
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    return TaskFailed(
        f"{response.request.method} {origin(response.request.url)} answered {status} {phrase}".rstrip(),
        details={"status_code": status, "headers": _headers(response), "body": await _beginning(response)},
        retry_after=retry_after(response.headers.get("retry-after"), time.time()),
    )


async def _beginning(response: httpx.Response) -> str:
    body = bytearray()
    with contextlib.suppress(httpx.HTTPError, TaskFailed):  # what has come by then is told
        async for part in response.aiter_bytes():
            body += part
            if len(body) >= 4 * SHOWN_CHARACTERS:
                break
    text = body.decode(_encoding(_content_type(response)[1]), errors="replace")
    return text[:SHOWN_CHARACTERS].replace("\0", "\N{REPLACEMENT CHARACTER}")


def retry_after(header: str | None, now: float) -> float | None:
    """Seconds that a `Retry-After` asks for (RFC 9110, 10.2.3), from 0 to a week; None where it is neither number nor date.

    Args:
        header: A number of seconds, or a date.
        now: Seconds since 1970.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_PAUSE)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max(aware.timestamp() - now, 0.0), LONGEST_PAUSE)
