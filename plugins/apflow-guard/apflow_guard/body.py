"""The body of an answer, decoded while it is read, and bounded in time and size."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator

import httpcore
import httpx
from attrs import define, field

from apflow_guard.bounds import Bounds
from apflow_guard.decoding import Decoder
from apflow_guard.failures import as_httpx
from apflow_guard.places import Place
from apflow_guard.refusals import TooMuch


@define(eq=False)
class Body(httpx.AsyncByteStream):
    """What httpx reads in place of the bytes of the connection.

    Args:
        request: For errors.
        answer: Whose body it is; closed at its end.
        place: For errors.
        bounds: Of the request; `max_bytes` holds for the body as it comes and for what it stands for.
        decoder: None where the body is not encoded.
    """

    _request: httpx.Request
    _answer: httpcore.Response
    _place: Place
    _bounds: Bounds
    _decoder: Decoder | None
    _received: int = field(default=0, init=False)
    _decoded: int = field(default=0, init=False)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The decoded body in parts."""
        parts = aiter(self._answer.stream)  # type: ignore[arg-type] # the pool is an asynchronous one
        try:
            while (raw := await self._next(parts)) is not None:
                self._received = self._counted(self._received, raw)
                for part in self._parts(raw):
                    self._decoded = self._counted(self._decoded, part)
                    yield part
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._answer.aclose()

    async def _next(self, parts: AsyncIterator[bytes]) -> bytes | None:
        with as_httpx(self._request, self._place):
            async with self._bounds.held(self._place.host):
                raw = await anext(parts, None)
        if raw is None:
            self._finish()
        return raw

    def _parts(self, raw: bytes) -> Iterator[bytes]:
        if self._decoder is None:
            yield raw
            return
        try:
            yield from self._decoder.fed(raw)
        except zlib.error as error:
            raise self._damaged(error) from error

    def _finish(self) -> None:
        try:
            if self._decoder is not None:
                self._decoder.finish()
        except zlib.error as error:
            raise self._damaged(error) from error

    def _damaged(self, error: zlib.error) -> httpx.DecodingError:
        return httpx.DecodingError(f"{self._place}: the answer cannot be decoded: {error}", request=self._request)

    def _counted(self, before: int, part: bytes) -> int:
        if before + len(part) > self._bounds.max_bytes:
            raise TooMuch(self._place.host, self._bounds.max_bytes)
        return before + len(part)
