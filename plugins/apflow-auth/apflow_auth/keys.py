"""Keys of JSON Web Tokens: read from a file or a variable, and held against the algorithms that they are for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import field, frozen

from apflow_auth.options import SECRET_BYTES, Jwt
from apflow_hookspecs.errors import ConfigError

LARGEST = 64 * 1024
RSA_BITS = 2048
"""Least size of an RSA key (RFC 7518, section 3.3)."""

_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@frozen
class Key:
    """A key, and the algorithms that count with it.

    Args:
        value: As PyJWT takes it.
        algorithms: By which a token that it signed may be signed.
    """

    value: Any = field(repr=False)
    algorithms: tuple[str, ...]


@frozen
class FixedKey:
    """One key for every token, whatever key a token names."""

    key: Key

    async def keys(self, _key_id: str | None) -> Sequence[Key]:
        """The key."""
        return (self.key,)


def configured_key(options: Jwt) -> Key:
    """The key of a file or a variable.

    Raises:
        ConfigError: It cannot be read, others could have read or written it, or it fits no algorithm.
    """
    if options.secret_env is not None:
        where, content = f"secret_env = {options.secret_env!r}", os.fsencode(os.environ.get(options.secret_env, ""))
        return _secret(where, content, options.allowed)
    if options.secret_file is not None:
        where = f"secret_file = {options.secret_file!r}"
        return _secret(where, _read(where, options.secret_file, forbidden=0o077).rstrip(b"\r\n"), options.allowed)
    where = f"key_file = {options.key_file!r}"
    return _public(where, _read(where, options.key_file or "", forbidden=0o022), options.allowed)


def fitting(key: Any, allowed: Iterable[str]) -> tuple[str, ...]:
    """Those of some algorithms that a public key is for; none where it is too weak, or no public key."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415 - heavy

    if isinstance(key, rsa.RSAPublicKey):
        return tuple(name for name in allowed if name[:2] in ("RS", "PS") and key.key_size >= RSA_BITS)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return tuple(name for name in allowed if name == _CURVES.get(key.curve.name))
    return tuple(name for name in allowed if name == "EdDSA" and isinstance(key, ed25519.Ed25519PublicKey))


def _secret(where: str, secret: bytes, allowed: tuple[str, ...]) -> Key:
    least = max(SECRET_BYTES[name] for name in allowed)
    if len(secret) < least:
        raise _unfit(where, f"the secret has {len(secret)} bytes, and {' and '.join(allowed)} need at least {least}")
    from jwt import InvalidKeyError  # noqa: PLC0415 - heavy
    from jwt.algorithms import HMACAlgorithm  # noqa: PLC0415

    try:
        return Key(HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret), allowed)
    except InvalidKeyError:
        raise _unfit(where, "holds a key of another kind, which anybody may know, and no secret") from None


def _public(where: str, pem: bytes, allowed: tuple[str, ...]) -> Key:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - heavy
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    if b"PRIVATE KEY" in pem:
        raise _unfit(where, "holds a private key; the server needs the public one alone")
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise _unfit(where, "holds no public key in PEM") from None
    algorithms = fitting(key, allowed)
    if not algorithms:
        raise _unfit(where, f"the key fits none of {', '.join(allowed)} (an RSA key needs {RSA_BITS} bits)")
    return Key(key, algorithms)


def _read(where: str, path: str, *, forbidden: int) -> bytes:
    try:
        # What is not a file must not keep the server waiting.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unfit(where, f"cannot be read: {error.strerror}") from None
    try:
        _check_file(where, os.fstat(descriptor), forbidden)
        content = os.read(descriptor, LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(content) > LARGEST:
        raise _unfit(where, f"holds more than {LARGEST} bytes")
    return content


def _check_file(where: str, facts: os.stat_result, forbidden: int) -> None:
    mode = stat.S_IMODE(facts.st_mode)
    if not stat.S_ISREG(facts.st_mode):
        raise _unfit(where, "is no file")
    if facts.st_uid not in (0, os.geteuid()):
        raise _unfit(where, "belongs to another user, and must belong to root or to the one who runs the server")
    if mode & forbidden:
        may = "read or write" if forbidden & 0o044 else "write"
        raise _unfit(where, f"has the mode {mode:04o}, and group and others must not {may} it (chmod {mode & ~forbidden:o})")


def _unfit(where: str, why: str) -> ConfigError:
    return ConfigError(f"auth.jwt.{where}: {why}")
