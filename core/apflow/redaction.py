"""Redaction: what tells of a task is told without the values of the secrets that tasks were given.

A value is looked for as it is, and in the forms in which it leaves programs: escaped, URL-encoded, in base64, in hexadecimal.
What an executor takes apart (one character a line, say) is not found.
"""

from __future__ import annotations

import html
import json
import logging
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from apflow.values import encode
from apflow_hookspecs import Json

SHORTEST = 6
"""Characters that a value must have: shorter ones stand by chance in what has nothing to do with them."""
MOST = 1000
"""Values that are remembered; of more, the ones that were used last."""
MASK = "***"


class Redaction:
    """The values that one engine has given to attempts.

    From the first value on no log record of this process tells any of them, whoever makes it.
    """

    def __init__(self) -> None:
        self._values: dict[str, tuple[str, ...]] = {}
        self._forms: tuple[str, ...] = ()
        self._encoded: tuple[bytes, ...] = ()
        self._records = _Records(self)

    def __bool__(self) -> bool:
        """Whether there is anything to redact."""
        return bool(self._values)

    def add(self, value: str) -> None:
        """A value is about to be given to an attempt; it has at least `SHORTEST` characters."""
        forms = self._values.pop(value, None)
        self._values[value] = forms or tuple(dict.fromkeys(forms_of(value)))
        if forms is not None:
            return
        if len(self._values) > MOST:
            del self._values[next(iter(self._values))]
        every = {form for each in self._values.values() for form in each}
        self._forms = tuple(sorted(every, key=len, reverse=True))
        self._encoded = tuple(encode(form)[1:-1] for form in self._forms)
        self._records.install()

    def close(self) -> None:
        """Log records are no longer looked at."""
        self._records.remove()

    def text(self, text: str) -> str:
        """A text without the values."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def finds(self, encoded: bytes) -> bool:
        """Whether JSON bytes hold a value."""
        return any(form in encoded for form in self._encoded)

    def json(self, value: Json) -> Json:
        """A JSON value without the values of secrets: in its texts, in its names, and where a number is one."""
        if not self._forms or not self.finds(encode(value)):
            return value
        return self._masked(value)

    def _masked(self, value: Json) -> Json:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self._masked(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._masked(item) for item in value]
        return MASK if type(value) in (int, float) and self.finds(encode(value)) else value


def forms_of(value: str) -> Iterator[str]:
    """The texts by which a value gives itself away."""
    for part in _parts(value):
        yield part
        yield json.dumps(part)[1:-1]
        yield json.dumps(part, ensure_ascii=False)[1:-1]
        yield repr(part)[1:-1]
        yield html.escape(part)
        yield part.replace("~", "~0").replace("/", "~1")
        for quoted in (quote(part, safe=""), quote(part), quote_plus(part)):
            yield quoted
            yield _lower_case_escapes(quoted)
        data = part.encode(errors="surrogatepass")
        yield repr(data)[2:-1]
        yield data.decode("latin-1")
        yield data.hex()
        yield data.hex().upper()
        for before in range(3):
            core = _base64_core(data, before)
            yield core
            yield core.replace("+", "-").replace("/", "_")


def _parts(value: str) -> Iterator[str]:
    """A value, and those of its parts that are as secret: the lines of a key; of a URL the password, the path and the query."""
    yield value
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= 2 * SHORTEST and not line.startswith("-----"))
    elif "://" in value:
        try:
            parts = urlsplit(value)
        except ValueError:
            return
        told = [parts.password or "", unquote(parts.password or ""), *(part for _, part in parse_qsl(parts.query))]
        yield from (part for part in told if len(part) >= SHORTEST)
        path = value.partition(parts.netloc)[2]
        if len(path) >= 2 * SHORTEST:
            yield path


def _lower_case_escapes(quoted: str) -> str:
    head, *rest = quoted.split("%")
    return "".join([head, *(f"%{part[:2].lower()}{part[2:]}" for part in rest)])


def _base64_core(data: bytes, before: int) -> str:
    """The characters that a value has in base64, whatever follows it, and so many bytes before it."""
    encoded = b64encode(b"\0" * before + data).decode()
    return encoded[-(-8 * before // 6) : 8 * (before + len(data)) // 6]


_OF_RECORDS = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})


class _Records:
    """The log records of this process, made without the values: the factory that `logging` asks for them.

    https://docs.python.org/3/library/logging.html#logging.setLogRecordFactory
    """

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._make: Callable[..., logging.LogRecord] | None = None
        self._active = False
        self._kinds: dict[type[logging.LogRecord], type[logging.LogRecord]] = {}

    def install(self) -> None:
        if self._make is None:
            self._make = logging.getLogRecordFactory()
            logging.setLogRecordFactory(self)
        self._active = True

    def remove(self) -> None:
        self._active = False
        # Somebody who came after us goes on to call us.
        if self._make is not None and logging.getLogRecordFactory() is self:
            logging.setLogRecordFactory(self._make)
            self._make = None

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = (self._make or logging.LogRecord)(*args, **kwargs)
        if self._active:
            self._redact(record)
            kind = type(record)
            record.__class__ = self._kinds.get(kind) or self._kinds.setdefault(kind, _looking_at_extras(kind, self._redaction))
        return record

    def _redact(self, record: logging.LogRecord) -> None:
        record.name = self._redaction.text(record.name or "")
        message = _message(record)
        redacted = self._redaction.text(message)
        if redacted != message:
            record.msg, record.args = redacted, ()
        if record.exc_info and record.exc_info[1] is not None:
            told = "".join(traceback.format_exception(record.exc_info[1])).rstrip()
            redacted = self._redaction.text(told)
            if redacted != told:  # handlers would tell the exception itself
                record.exc_text, record.exc_info = redacted, None
        if record.stack_info:
            record.stack_info = self._redaction.text(record.stack_info)


def _looking_at_extras(kind: type[logging.LogRecord], redaction: Redaction) -> type[logging.LogRecord]:
    """A class of records whose extra fields, which come into a record after it was made, are redacted when it is read."""

    class Redacted(kind):  # type: ignore[misc, valid-type] # whichever the factory before makes
        def getMessage(self) -> str:  # noqa: N802 - as `logging` has it
            for name in vars(self).keys() - _OF_RECORDS:
                value = getattr(self, name)
                for told in (_shown(str, value), _shown(repr, value)):
                    if (redacted := redaction.text(told)) != told:
                        setattr(self, name, redacted)
                        break
            return str(super().getMessage())

        def __reduce__(self) -> tuple[Any, ...]:
            self.getMessage()
            return logging.makeLogRecord, (vars(self),)

    return Redacted


def _shown(show: Callable[[Any], str], value: Any) -> str:
    try:
        return show(value)
    except Exception:  # noqa: BLE001 - an extra field may be anything
        return ""


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - its arguments are anybody's; the handler will tell what is wrong with them
        return f"{record.msg} {record.args}"
