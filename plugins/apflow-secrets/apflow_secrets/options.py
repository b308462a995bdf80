"""What the operator says about secrets: the section `[secrets]` of the configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import field, frozen
from attrs.converters import optional

from apflow_hookspecs.errors import shortened
from apflow_secrets.hosts import pattern

NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
ANY = "*"
SOURCES = ("env", "file", "keyring")


def _patterns(hosts: tuple[str, ...]) -> tuple[str, ...]:
    if not hosts:
        raise ValueError("hosts = []: must name a host; left out, it binds the secret to none")
    return tuple(map(pattern, hosts))


@frozen(kw_only=True)
class Secret:
    """A secret that tasks may name: `[secrets.known.NAME]`. It says where the value is, and never holds it.

    Args:
        env: The environment variable that has it. Exactly one of this and the next two is needed.
        file: Absolute path of the file that holds it; a line break at its end is not part of it.
        keyring: `service/user` of the entry in the keyring of this machine; the service may hold further `/`.
        executors: Ids of the executors whose tasks may have it; `*` is all.
        hosts: Only attempts whose inputs name one of these hosts get it; `*.example.com` is every host under that one.
            None does not look at hosts.
        remote: Whether trees that came from outside may name it.
        check_mode: Whether the file is refused when its group or others may read or write it.
    """

    env: str | None = None
    file: str | None = None
    keyring: str | None = None
    executors: tuple[str, ...]
    hosts: tuple[str, ...] | None = field(default=None, converter=optional(_patterns))
    remote: bool = False
    check_mode: bool = True

    def __attrs_post_init__(self) -> None:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"must have exactly one of {', '.join(SOURCES)}, and has {' and '.join(given) or 'none'}")
        if not self.executors:
            raise ValueError("executors = []: must name those that may have it, or '*' for all")
        self._check_source()

    def _check_source(self) -> None:
        if self.env is not None and (not self.env or set(self.env) & {"=", "\0"}):
            raise ValueError(f"env = {shortened(self.env)}: must be the name of a variable")
        if self.file is not None and (not self.file.startswith("/") or "\0" in self.file):
            raise ValueError(f"file = {shortened(self.file)}: must be an absolute path")
        if self.keyring is not None and not all(self.entry):
            raise ValueError(f"keyring = {shortened(self.keyring)}: must be service/user")

    @property
    def entry(self) -> tuple[str, str]:
        """Service and user of the entry in the keyring."""
        service, _, user = (self.keyring or "").rpartition("/")
        return service, user

    @property
    def source(self) -> str:
        """Where the value is, for people: `env API_TOKEN`."""
        return next(f"{name} {getattr(self, name)}" for name in SOURCES if getattr(self, name) is not None)

    def given_to(self, executor: str | None) -> bool:
        """Whether tasks of an executor may have it."""
        return ANY in self.executors or executor in self.executors


def _named(known: Mapping[str, Secret]) -> Mapping[str, Secret]:
    for name in known:
        if not NAME.fullmatch(name):
            raise ValueError(f"the name {shortened(name)} must be 1 to 128 of A-Z, a-z, 0-9, '.', '_', '-'")
    return known


@frozen
class Options:
    """The section `[secrets]`.

    Args:
        known: The secrets by the name that tasks use.
        exclusive: Whether a name that is not among them is refused; otherwise it is left to other plugins that know secrets.
    """

    known: Mapping[str, Secret] = field(factory=dict, converter=_named)
    exclusive: bool = True
