"""The border: what an attempt comes to, as it may be stored: JSON, bounded, and without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apflow.answers import unusable
from apflow.config import Settings
from apflow.redaction import Redaction
from apflow.values import BadValue, checked, encode
from apflow_hookspecs import MAX_INSTANT, Json, TaskFailed, Wait
from apflow_hookspecs.errors import shortened

NULL = b"null"
MAX_TEXT = 10_000
"""Characters that are kept of a message of an executor's."""


class Border:
    """What everything passes that an executor, a policy or a hook hands over.

    Args:
        settings: Bounds.
        redaction: The secrets.
    """

    def __init__(self, settings: Settings, redaction: Redaction) -> None:
        self._max_depth = settings.max_depth
        self._max_bytes = settings.max_result_bytes
        self._redaction = redaction

    def result(self, value: Any) -> Json:
        """A copy of a result.

        Raises:
            TaskFailed: It is not JSON (`bad_result`); `details` has the path to the culprit.
        """
        if value is None:
            return None
        try:
            result = checked(value, self._max_depth)
        except BadValue as bad:
            message = f"the result cannot be stored, {bad}"
            raise TaskFailed(message, error="bad_result", details={"path": bad.path, "rule": bad.rule}) from None
        return self._redaction.json(result) if self._redaction else result

    def discreet(self, value: Any) -> Any:
        """What an executor returned, as policies and hooks get to see it; what is not JSON is refused later."""
        if isinstance(value, Wait):
            return value
        try:
            return self._redaction.json(checked(value, self._max_depth))
        except BadValue:
            return value

    def encoded(self, result: Json) -> bytes:
        """A result as JSON bytes.

        Raises:
            TaskFailed: There are too many (`bad_result`).
        """
        if result is None:
            return NULL
        encoded = encode(result)
        if len(encoded) > self._max_bytes:
            rule = f"it has {len(encoded):,} bytes, and at most {self._max_bytes:,} are stored (max_result_bytes)"
            raise TaskFailed(f"the result is too large: {rule}", error="bad_result", details={"path": "", "rule": rule})
        return encoded

    def wait(self, wait: Wait) -> Wait:
        """What an attempt waits for.

        Raises:
            TaskFailed: It is no wait that can be kept (`bad_result`).
        """
        if wait.kind not in ("input", "until"):
            raise TaskFailed(f"a wait has the kind input or until, and not {shortened(wait.kind)}", error="bad_result")
        endless = wait.kind == "input" and wait.at is None
        if not (endless or (type(wait.at) is int and 0 <= wait.at <= MAX_INSTANT)):
            rule = "an integer of microseconds since 1970 UTC, up to the year 9999"
            raise TaskFailed(f"the instant of a wait is {rule}, and not {shortened(wait.at)}", error="bad_result")
        if not isinstance(wait.schema, Mapping | None):
            raise TaskFailed(f"the schema of a wait must be an object, and not {shortened(wait.schema)}", error="bad_result")
        prompt, schema = self.result([wait.prompt, wait.schema and dict(wait.schema)])
        if schema is not None and (fault := unusable(schema)) is not None:
            raise TaskFailed(f"the schema of a wait {fault}", error="bad_result")
        return Wait(wait.kind, wait.at, prompt, schema, policy=wait.policy)

    def error(self, error: BaseException) -> dict[str, Json]:
        """An exception as a task's `error`."""
        if isinstance(error, TaskFailed):
            return {
                "code": self.text(error.error), "message": self.text(error.message), "details": self._details(error.details),
            }  # fmt: skip
        name, text = self.text(type(error).__name__), self.text(error)
        return {"code": "failed", "message": f"{name}: {text}" if text else name, "details": {"exception": name}}

    def text(self, value: Any) -> str:
        """Something of an executor's as text; an exception as its message."""
        try:
            text = value if isinstance(value, str) else str(value) if isinstance(value, BaseException) else repr(value)
        except Exception as error:  # noqa: BLE001 - its own `__str__` or `__repr__` fails
            return f"{type(value).__name__} (which cannot be shown: {type(error).__name__})"
        text = self._redaction.text(text)  # before it is cut: a part of a secret would not be found
        if len(text) > MAX_TEXT:
            text = f"{text[:MAX_TEXT]}… ({len(text):,} characters)"
        try:
            return str(checked(text))
        except BadValue:
            return ascii(text)[1:-1]

    def _details(self, value: Any) -> Json:
        """What an executor says of its failure to machines, as an object."""
        if value is None:
            return None
        try:
            return self._redaction.json(checked(value if isinstance(value, dict) else {"value": value}))
        except BadValue:
            return {"value": self.text(value)}
