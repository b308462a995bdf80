"""Reading values, anew for each attempt, so that a changed secret counts at once."""

from __future__ import annotations

import os
import re
import stat

from apflow_hookspecs.errors import shortened
from apflow_secrets.options import Secret
from apflow_secrets.refusal import unreadable

LARGEST = 64 * 1024
"""Bytes of a file."""
SHORTEST = 6
"""Characters of a value: shorter ones cannot be redacted, for they stand by chance in what has nothing to do with them."""

_UNDECODED = re.compile("[\ud800-\udfff]")


def read(secret: Secret) -> str:
    """The value of a secret; blocks, unless it is in the environment.

    Raises:
        Refused: It cannot be read, or cannot be kept secret.
    """
    if secret.env is not None:
        value = _of_variable(secret.env)
    elif secret.file is not None:
        value = _of_file(secret.file, check_mode=secret.check_mode)
    else:
        value = _of_keyring(*secret.entry)
    rule = _rule_broken(value)
    if rule is not None:
        raise unreadable(f"cannot be used: what {secret.source} holds {rule}")
    return value


def _rule_broken(value: str) -> str | None:
    if not value:
        return "is empty"
    if len(value) < SHORTEST:
        return f"has fewer than {SHORTEST} characters, and could not be kept out of what is stored"
    if "\0" in value:
        return "has a NUL in it"
    return "is not UTF-8" if _UNDECODED.search(value) else None


def _of_variable(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise unreadable(f"cannot be read: the variable {shortened(name)} is not set")
    return value


def _of_file(path: str, *, check_mode: bool) -> str:
    try:
        # Links are followed, for mounted secrets are links; what counts is what was opened. A FIFO is opened, not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            rule = _forbidding(os.fstat(descriptor), check_mode=check_mode)
            content = b"" if rule else _start_of(descriptor, LARGEST + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unreadable(f"cannot be read: the file {path!r}: {error.strerror}") from None
    if len(content) > LARGEST:
        rule = f"has more than {LARGEST:,} bytes"
    if rule is not None:
        raise unreadable(f"cannot be read: the file {path!r} {rule}")
    # An error of decoding would carry the content with it; what cannot be decoded is found later.
    return content.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")


def _start_of(descriptor: int, size: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(size)


def _forbidding(found: os.stat_result, *, check_mode: bool) -> str | None:
    """The rule that an open file breaks."""
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    if found.st_uid not in (0, os.geteuid()):
        return f"must be owned by root or the user {os.geteuid()}, and is by the user {found.st_uid}"
    mode = stat.S_IMODE(found.st_mode)
    if check_mode and mode & 0o066:
        return f"has the mode {mode:04o}, and group and others must not read or write it (chmod 600, or check_mode = false)"
    return None


def _of_keyring(service: str, user: str) -> str:
    entry = repr(f"{service}/{user}")
    try:
        from keyring import get_password  # noqa: PLC0415 - an extra, and slow to import

        value = get_password(service, user)
    except ImportError:
        raise unreadable("cannot be read: keyring is not installed; apflow-secrets[keyring] brings it") from None
    except Exception as error:  # noqa: BLE001 - a backend is anybody's code, and its text might hold anything
        raise unreadable(f"cannot be read: the keyring failed for {entry} with {type(error).__name__}") from None
    if value is None:
        raise unreadable(f"cannot be read: the keyring has no {entry}")
    return value
