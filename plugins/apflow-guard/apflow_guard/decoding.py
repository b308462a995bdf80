"""Content encodings, undone in small steps: a few bytes can stand for gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from attrs import define, field

ACCEPTED = "gzip, deflate"
_STEP = 64 << 10
"""Bytes that are decoded at once at most."""
_WINDOW = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


def known(encoding: str) -> bool:
    """Whether a content encoding can be undone."""
    return encoding in _WINDOW


@define(eq=False)
class Decoder:
    """Decodes one body.

    Args:
        encoding: A known one.
    """

    encoding: str
    _stream: zlib._Decompress | None = field(default=None, init=False)

    def fed(self, data: bytes) -> Iterator[bytes]:
        """What more data stands for, in parts of at most 64 KiB.

        Raises:
            zlib.error: It is damaged.
        """
        while data:
            if self._stream is None:
                self._stream = zlib.decompressobj(self._window(data[0]))
            if part := self._stream.decompress(data, _STEP):
                yield part
            data = self._stream.unconsumed_tail
            if self._stream.eof:  # a body in gzip may have several members (RFC 1952, 2.2)
                data, self._stream = self._stream.unused_data, None

    def _window(self, first: int) -> int:
        # Many servers send deflate without the zlib header that RFC 9110, 8.4.1.2 wants; its first byte has the method 8.
        return -zlib.MAX_WBITS if self.encoding == "deflate" and first & 0x0F != zlib.DEFLATED else _WINDOW[self.encoding]

    def finish(self) -> None:
        """Check that the data is whole.

        Raises:
            zlib.error: It ended early.
        """
        if self._stream is not None:
            raise zlib.error(f"the {self.encoding} data ended early")
