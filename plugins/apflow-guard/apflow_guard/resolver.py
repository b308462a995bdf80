"""Names to addresses, by the system."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from attrs import field, frozen

_THREADS = 8


@frozen(eq=False)
class SystemResolver:
    """`getaddrinfo` in threads of its own, so that names that take long hold up nobody but other names."""

    _threads: ThreadPoolExecutor = field(factory=lambda: ThreadPoolExecutor(_THREADS, "apflow-guard"), init=False)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a name, in the order in which to try them.

        Raises:
            OSError: It cannot be resolved.
        """
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _lookup, host, port)
        return [str(address[0]) for *_, address in found]


def _lookup(host: str, port: int) -> list[tuple[int, int, int, str, tuple[str | int | bytes, ...]]]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # type: ignore[return-value] # stubs know no address families
