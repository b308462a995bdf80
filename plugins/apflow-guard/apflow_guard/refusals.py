"""How a request fails that the guard ends; everything else is an exception of httpx."""

from __future__ import annotations

from apflow_hookspecs import TaskFailed


class Refused(TaskFailed):
    """The request must not go there.

    It names the host alone: path, query and userinfo of a URL may hold secrets.

    Args:
        host: The URL's host, or what stands for it.
        rule: What it breaks, as a sentence.
        allow: What the operator could write into `guard.allow` to open it; None where nothing opens it.
    """

    def __init__(self, host: str, rule: str, allow: str | None = None) -> None:
        opened = "" if allow is None else f"; the operator can open it with guard.allow = [{allow!r}]"
        super().__init__(f"{host} is refused: {rule}{opened}", error="denied", details={"host": host, "rule": rule})


class TooMuch(TaskFailed):
    """The answer has more bytes than are taken."""

    def __init__(self, host: str, max_bytes: int) -> None:
        super().__init__(
            f"{host}: the answer has more than {max_bytes:,} bytes", details={"host": host, "max_bytes": max_bytes}
        )


class TooLong(TaskFailed):
    """The request took longer than it may."""

    def __init__(self, host: str, seconds: float) -> None:
        message = f"{host}: the request took longer than {seconds:g} s"
        super().__init__(message, error="timeout", details={"host": host, "timeout": seconds})
