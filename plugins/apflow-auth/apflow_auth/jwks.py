"""The public keys that an issuer publishes (JSON Web Key Set, RFC 7517), from the one URL that the operator named."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.client import HTTPException
from typing import Any

from apflow_auth.keys import Key, fitting

log = logging.getLogger("apflow.auth")

LARGEST = 256 * 1024
MOST_KEYS = 100
TIMEOUT = 3.0
"""Seconds that fetching may take; shorter than the server waits for a plugin."""
FRESH = 600.0
"""Seconds after which keys are fetched anew."""
STALE = 3600.0
"""Seconds for which keys count while newer ones cannot be had."""
PAUSE = 60.0
"""Seconds between one fetch and the next, whatever keys tokens name."""


class Unreachable(Exception):
    """The keys cannot be had."""


class KeySet:
    """The keys behind a URL, fetched when they are needed.

    Args:
        url: Of the operator's configuration; no token has a say in it.
        allowed: The algorithms that count.
        fetch: Gets what is at a URL, in a thread.
        clock: Tells seconds.
    """

    def __init__(
        self,
        url: str,
        allowed: tuple[str, ...],
        fetch: Callable[[str], bytes] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._allowed = allowed
        self._fetch = fetch or fetched
        self._clock = clock
        self._keys: dict[str | None, Key] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def keys(self, key_id: str | None) -> Sequence[Key]:
        """The key of an id; without an id the only one there is. None, where there is none."""
        if not self._has(key_id):
            async with self._fetching:
                if not self._has(key_id) and self._clock() - self._tried_at >= PAUSE:
                    await self._renew()
        if self._clock() - self._fetched_at > STALE:
            return ()
        found = self._find(key_id)
        return () if found is None else (found,)

    def _has(self, key_id: str | None) -> bool:
        return self._clock() - self._fetched_at <= FRESH and self._find(key_id) is not None

    def _find(self, key_id: str | None) -> Key | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    async def _renew(self) -> None:
        self._tried_at = self._clock()
        try:
            async with asyncio.timeout(TIMEOUT):
                content = await asyncio.to_thread(self._fetch, self._url)
            self._keys = dict(_read(content, self._allowed))
            self._fetched_at = self._clock()
        except (Unreachable, TimeoutError) as error:
            why = str(error) or f"no answer within {TIMEOUT:g} s"
            log.warning("the keys at %s cannot be had: %s", self._url, why, extra={"url": self._url})


def fetched(url: str) -> bytes:
    """What is at a URL: no redirect is followed, no proxy asked, and nothing read that is too large or too slow.

    Raises:
        Unreachable: It cannot be had.
    """
    until = time.monotonic() + TIMEOUT
    try:
        with _opener().open(url, timeout=TIMEOUT) as answer:
            content = b""
            while part := answer.read1(LARGEST):
                content += part
                if len(content) > LARGEST or time.monotonic() > until:
                    raise Unreachable(f"more than {LARGEST} bytes, or more than {TIMEOUT:g} s")
            return content
    except urllib.error.HTTPError as error:
        error.close()
        raise Unreachable(f"the answer has the status {error.code}") from None
    except (OSError, HTTPException) as error:
        raise Unreachable(f"{type(error).__name__}: {error}") from None


def _opener() -> urllib.request.OpenerDirector:
    """Only what is needed: urllib's own would follow redirects, ask proxies and read local files."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _read(content: bytes, allowed: tuple[str, ...]) -> Iterator[tuple[str | None, Key]]:
    try:
        listed = json.loads(content)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unreachable("the answer is no set of keys") from None
    for entry in listed[:MOST_KEYS] if isinstance(listed, list) else ():
        key = _key(entry, allowed)
        if key is not None and isinstance(entry.get("kid"), str | None):
            yield entry.get("kid"), key


def _key(entry: Any, allowed: tuple[str, ...]) -> Key | None:
    """A key that is for signatures, public, and strong enough; what else stands in a set is passed over."""
    from jwt import PyJWK  # noqa: PLC0415 - heavy

    if not isinstance(entry, Mapping) or entry.get("use", "sig") != "sig" or entry.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    named = [name for name in allowed if entry.get("alg", name) == name]
    try:
        algorithms = fitting(value := PyJWK.from_dict({**entry}).key, named) if named else ()
    except Exception as error:  # noqa: BLE001 - what a library makes of another's keys; one of them must not cost all others
        log.debug("a published key is passed over: %s", type(error).__name__)
        return None
    return Key(value, algorithms) if algorithms else None
