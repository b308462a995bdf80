"""The section `[sqlite]` of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import fields_dict, frozen

from apflow_hookspecs import errors

CHECKS = ("auto", "always", "never")
DURABILITIES = {"full": "FULL", "process": "NORMAL"}
"""SQLite's `synchronous` for each."""


@frozen
class Options:
    """How a file is opened.

    Args:
        check: Whether the file is looked through before it is used: `auto` up to 1 GiB, `always`, `never`.
        readers: Connections that read side by side, from 1.
        force: Whether a network filesystem will do.
    """

    check: str = "auto"
    readers: Any = 2
    force: Any = False

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Options:
        """The section as read, checked.

        Raises:
            ConfigError: It does not fit.
        """
        if unknown := sorted(section.keys() - fields_dict(cls).keys()):
            raise errors.ConfigError(f"sqlite.{unknown[0]}: there is no such option; there are {', '.join(fields_dict(cls))}")
        options = cls(**section)
        if options.check not in CHECKS:
            raise errors.ConfigError(f"sqlite.check = {errors.shortened(options.check)}: has to be one of {', '.join(CHECKS)}")
        if not isinstance(options.readers, int) or options.readers < 1:
            raise errors.ConfigError(f"sqlite.readers = {errors.shortened(options.readers)}: has to be a number from 1")
        if not isinstance(options.force, bool):
            raise errors.ConfigError(f"sqlite.force = {errors.shortened(options.force)}: has to be true or false")
        return options


def synchronous(durability: str) -> str:
    """SQLite's word for a durability.

    Raises:
        ConfigError: A file has no such durability.
    """
    if durability not in DURABILITIES:
        rule = f"a SQLite file offers {' and '.join(DURABILITIES)}"
        raise errors.ConfigError(f"durability = {errors.shortened(durability)}: {rule}")
    return DURABILITIES[durability]
