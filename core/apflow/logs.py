"""Logs in harmless lines: one record a line, whatever it tells of.

The program shows records so; whoever sets up logging of their own takes the formatters from here:

    handler.setFormatter(JsonLines())
"""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any

from apflow.escaping import LONGEST, escaped
from apflow_hookspecs import rfc3339

_OURS = logging.getLogger("apflow")
_OF_RECORDS = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "color_message"})


class OneLine(logging.Formatter):
    """For people: level, message, and the exception in a word; its traceback when records of DEBUG are shown too.

    Args:
        tracebacks: Show it always, in lines of their own.
    """

    def __init__(self, *, tracebacks: bool = False) -> None:
        super().__init__()
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        line = f"{record.levelname.lower()}: {escaped(record.getMessage())}"
        told = _traceback(record)
        if not told:
            return line
        if self._tracebacks or _OURS.isEnabledFor(logging.DEBUG):
            return "\n".join([line, *map(escaped, told)])
        return f"{line}: {escaped(_exception(record, told))}"


class JsonLines(logging.Formatter):
    """For machines: an object with `time`, `level`, `logger`, `message`, the record's extra fields, and `exception`.

    A field has at most 4,096 characters, and says how many it lacks; of a traceback the end is kept. All is ASCII.
    """

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        fields = {name: value for name, value in vars(record).items() if name not in _OF_RECORDS} | {
            "time": rfc3339(int(record.created * 1_000_000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        told = _traceback(record)
        if told:
            fields |= {"exception": _exception(record, told), "traceback": "\n".join(told)[-LONGEST:]}
        return f"{{{', '.join(f'{json.dumps(name)}: {_encoded(value)}' for name, value in fields.items())}}}"


def _encoded(value: Any) -> str:
    if not isinstance(value, str):
        try:
            encoded = json.dumps(value, allow_nan=False, default=repr)
        except (TypeError, ValueError, RecursionError):  # names that are no text, NaN, cycles
            encoded = json.dumps(repr(value))
        if len(encoded) <= LONGEST:
            return encoded
        value = encoded
    return json.dumps(value if len(value) <= LONGEST else f"{value[:LONGEST]}… ({len(value) - LONGEST} more characters)")


def _traceback(record: logging.LogRecord) -> list[str]:
    """The lines that tell of a record's exception; none where there is none."""
    if record.exc_info and record.exc_info[1] is not None:
        return "".join(traceback.format_exception(record.exc_info[1])).splitlines()
    return (record.exc_text or "").splitlines()


def _exception(record: logging.LogRecord, told: list[str]) -> str:
    """Type and message; of a traceback that came as text its last line."""
    error = record.exc_info[1] if record.exc_info else None
    return told[-1] if error is None else f"{type(error).__name__}: {error}"
