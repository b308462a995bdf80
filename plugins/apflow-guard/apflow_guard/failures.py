"""The exceptions of httpcore as those of httpx, with the host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpcore
import httpx

from apflow_guard.places import Place

_ALL = (
    httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, httpcore.TimeoutException, httpcore.UnsupportedProtocol,
)  # fmt: skip


@contextmanager
def as_httpx(request: httpx.Request, place: Place) -> Iterator[None]:
    """Raise what httpx would, for which its classes bear the same names."""
    try:
        yield
    except httpcore.LocalProtocolError:  # its message and its traceback hold the headers, secrets among them
        raise httpx.LocalProtocolError(f"{place}: the request has a malformed method or header", request=request) from None
    except _ALL as error:
        kind: type[httpx.RequestError] = getattr(httpx, type(error).__name__)
        raise kind(f"{place}: {str(error) or type(error).__name__}", request=request) from error
