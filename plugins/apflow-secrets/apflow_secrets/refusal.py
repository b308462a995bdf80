"""Why a secret is not given."""

from __future__ import annotations

from apflow_hookspecs.errors import InvalidTask, PermissionDenied


class Refused(Exception):
    """A secret is not given.

    Args:
        why: The end of a sentence that begins with the secret, for the operator and local users; never with a value.
        outside: The same for callers from outside, who learn neither what there is nor where it is kept.
        unknown: Whether there is no such secret, which is an error of writing where it may be told.
    """

    def __init__(self, why: str, outside: str, *, unknown: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.outside = outside
        self.unknown = unknown

    def told(self, origin: str) -> str:
        """What the author of a local or remote tree gets to know."""
        return self.why if origin == "local" else self.outside

    def code(self, origin: str) -> int:
        """Of the error with which a tree is refused for it."""
        return InvalidTask.code if self.unknown and origin == "local" else PermissionDenied.code


def withheld(why: str, executor: str | None, *, unknown: bool = False) -> Refused:
    """Refused by its name; from outside nobody can tell whether there is such a secret."""
    return Refused(why, f"is none that tasks of the executor {executor!r} may have here", unknown=unknown)


def unreadable(why: str) -> Refused:
    """The value cannot be had, or cannot be used."""
    return Refused(why, "cannot be read at present; the log of the operator says why")
