"""JSON of strangers: bounded before and while it becomes objects."""

from __future__ import annotations

import re
from functools import cache
from itertools import chain

import msgspec

from apflow_hookspecs import Json
from apflow_hookspecs.errors import InvalidParams
from apflow_server.errors import NotJson
from apflow_server.options import Options

_MOST_BITS = 332
"""Of an integer: 100 digits."""
_NUL = b"\\u0000"

_decode = msgspec.json.Decoder().decode


def decoded(body: bytes, options: Options) -> Json:
    """The value of a JSON text; of names that stand twice in one object, the last counts.

    Raises:
        NotJson: It is none.
        InvalidParams: It has too many values, too deep ones, an integer of more than 100 digits, or text with NUL.
    """
    if _has_too_many(body, options.max_nodes):
        raise InvalidParams(f"the request has more than {options.max_nodes} values (server.max_nodes)")
    try:
        value = _decode(body)
    except RecursionError:
        raise _too_deep(options) from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise NotJson(f"the body is not JSON: {error}") from None
    _check(value, options, texts=_NUL in body)
    return value


def _has_too_many(body: bytes, most: int) -> bool:
    """Whether it has more values; counted in the text, where each begins after a comma or a bracket."""
    if sum(map(body.count, (b",", b"[", b"{"))) <= most:
        return False
    return _more_than(most).match(body) is not None


@cache
def _more_than(most: int) -> re.Pattern[bytes]:
    # Possessive throughout: it reads each byte once.
    return re.compile(rb'(?:(?:[^",\[{]++|"(?:[^"\\]++|\\.)*+")*+[,\[{]){%d}+' % (most + 1), re.DOTALL)


def _check(value: Json, options: Options, *, texts: bool) -> None:
    level = [value]
    for _ in range(options.max_depth + 1):
        containers = []
        for each in level:
            if isinstance(each, dict | list):
                containers.append(each)
            elif type(each) is int:
                _check_integer(each)
            elif texts and type(each) is str:
                _check_text(each)
        if not containers:
            return
        if texts:
            for name in chain.from_iterable(each for each in containers if isinstance(each, dict)):
                _check_text(name)
        level = list(chain.from_iterable(each.values() if isinstance(each, dict) else each for each in containers))
    raise _too_deep(options)


def _check_integer(value: int) -> None:
    if value.bit_length() > _MOST_BITS:
        raise InvalidParams("the request has an integer of more than 100 digits")


def _check_text(text: str) -> None:
    if "\0" in text:
        raise InvalidParams("the request has text with the character NUL")


def _too_deep(options: Options) -> InvalidParams:
    return InvalidParams(f"the request is nested deeper than {options.max_depth} levels (server.max_depth)")
