"""Bearer tokens: made once, shown once, and kept as records of which none gives a token away.

A token is `apf_ID_SECRET`. The id finds its record; of the secret only the SHA-256 is kept. Slow hashes are for passwords,
which can be guessed; 256 random bits cannot, however fast each guess is, and a slow hash would only cost requests their time.
Nothing is cached: every request reads the record, so that a token that is revoked is so at once, also in a server that runs.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable

from attrs import asdict, evolve, field, frozen

from apflow_auth.refusal import ExpiredToken, InvalidToken
from apflow_hookspecs import Batch, Caller, Record, RecordWrite, Storage
from apflow_hookspecs.errors import StorageUnavailable

log = logging.getLogger("apflow.auth")

NAMESPACE = "auth"
PREFIX = "token/"
SECRET_BYTES = 32
MINUTE = 60_000_000
"""Microseconds between two notes of when a token was used."""

_TOKEN = re.compile(r"apf_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


def now() -> int:
    """The instant."""
    return time.time_ns() // 1000


@frozen
class Token:
    """What is kept of a token.

    Args:
        id: Told in lists, and needed to revoke it.
        digest: SHA-256 of the secret, hexadecimal.
        user_id: On whose behalf it speaks; None is nobody in particular.
        scopes: What it may.
        name: What it is for, in its creator's words.
        created_at: Instant.
        expires_at: Instant from which on it is denied; None is never.
        last_used_at: Instant, exact to a minute; None before its first use.
    """

    id: str
    digest: str = field(repr=False)
    user_id: str | None
    scopes: tuple[str, ...]
    name: str | None
    created_at: int
    expires_at: int | None = None
    last_used_at: int | None = None

    @classmethod
    def of(cls, record: Record) -> Token:
        """The token of a record."""
        stored = json.loads(record.value)
        return cls(**{**stored, "scopes": tuple(stored["scopes"])})

    def expired(self, at: int) -> bool:
        """Whether it counts no more."""
        return self.expires_at is not None and self.expires_at <= at

    @property
    def key(self) -> str:
        """The key of its record."""
        return PREFIX + self.id

    @property
    def value(self) -> bytes:
        """The value of its record."""
        return json.dumps(asdict(self)).encode()


class Tokens:
    """The tokens of a storage.

    Args:
        storage: Where they are kept.
        clock: Tells the instant.
    """

    def __init__(self, storage: Storage, clock: Callable[[], int] = now) -> None:
        self._storage = storage
        self._clock = clock
        self._noting: set[str] = set()
        # Looked at where there is no record, so that this takes as long as a secret that is wrong.
        nobody = Token("0" * 16, _digest(secrets.token_urlsafe(SECRET_BYTES)), "nobody", ("read",), None, 0)
        self._nobody = Record(NAMESPACE, nobody.key, nobody.value, 0)

    async def create(
        self, user_id: str | None, scopes: Iterable[str], *, name: str | None = None, lifetime: float | None = None
    ) -> tuple[Token, str]:
        """Make a token; the second of the pair is its text, which can never be had again.

        Args:
            user_id: On whose behalf it speaks.
            scopes: What it may.
            name: What it is for.
            lifetime: Seconds after which it expires; None is never.
        """
        at, secret = self._clock(), secrets.token_urlsafe(SECRET_BYTES)
        expires_at = None if lifetime is None else at + int(lifetime * 1_000_000)
        token = Token(secrets.token_hex(8), _digest(secret), user_id, tuple(sorted(scopes)), name, at, expires_at)
        if not await self._write(token, token.value, expected=0):
            raise StorageUnavailable(f"the token {token.id!r} could not be stored, for there is one of this id")
        log.info("token %s was created for %r", token.id, user_id, extra={"token": token.id, "scopes": token.scopes})
        return token, f"apf_{token.id}_{secret}"

    async def stored(self) -> list[Token]:
        """All tokens, the oldest first, also those that have expired."""
        records = await self._storage.records(NAMESPACE, PREFIX)
        return sorted(map(Token.of, records), key=lambda token: token.created_at)

    async def revoke(self, token_id: str) -> bool:
        """Delete a token, which is denied from now on; False where there is none of this id."""
        record = await self._storage.record(NAMESPACE, PREFIX + token_id)
        if record is None:
            return False
        await self._write(Token.of(record), None)
        log.info("token %s was revoked", token_id, extra={"token": token_id})
        return True

    async def caller(self, text: str) -> Caller:
        """Who shows a token.

        Raises:
            InvalidToken: There is no such token.
            ExpiredToken: Its time is over.
        """
        parts = _TOKEN.fullmatch(text)
        if parts is None:
            raise InvalidToken
        record = await self._storage.record(NAMESPACE, PREFIX + parts[1]) or self._nobody
        token = Token.of(record)
        if not hmac.compare_digest(_digest(parts[2]), token.digest):
            raise InvalidToken
        at = self._clock()
        if token.expired(at):
            raise ExpiredToken
        await self._note_use(token, record.version, at)
        return Caller(token.user_id, frozenset(token.scopes), "remote")

    async def _note_use(self, token: Token, version: int, at: int) -> None:
        """Note that a token was used, unless it was revoked meanwhile, another request does, or the storage cannot."""
        if token.id in self._noting or (token.last_used_at is not None and at - token.last_used_at < MINUTE):
            return
        self._noting.add(token.id)
        try:
            await self._write(token, evolve(token, last_used_at=at).value, expected=version)
        except StorageUnavailable as error:
            log.debug("the use of token %s was not noted: %s", token.id, error)
        finally:
            self._noting.remove(token.id)

    async def _write(self, token: Token, value: bytes | None, expected: int | None = None) -> bool:
        return bool(await self._storage.commit(Batch(records=[RecordWrite(NAMESPACE, token.key, value, expected)])))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
