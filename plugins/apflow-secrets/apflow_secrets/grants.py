"""Who may have which secret: asked when a tree is created, and again at each attempt, for both sides may have changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from attrs import frozen

from apflow_hookspecs import Json, Problem, Task, TaskContext, TaskFailed
from apflow_hookspecs.errors import shortened
from apflow_secrets.hosts import INPUTS, covered, host_in
from apflow_secrets.options import Secret
from apflow_secrets.references import SECRET, find, names_secret
from apflow_secrets.refusal import Refused, withheld
from apflow_secrets.values import read


@frozen
class Grants:
    """The operator's decisions.

    Args:
        known: Each secret by its name.
        exclusive: Whether other names are refused.
    """

    known: Mapping[str, Secret]
    exclusive: bool = True

    def concern(self, name: str) -> bool:
        """Whether a name is decided on here."""
        return self.exclusive or name in self.known

    def problems(self, task: Task, origin: str) -> Iterator[Problem]:
        """What is wrong with the secrets that a task names, as far as its inputs are known when it is created."""
        for field, name in chain(find("inputs", task.inputs), find("params", task.params)):
            if not self.concern(name):
                continue
            try:
                secret = self._granted(name, task, origin)
                for place in INPUTS:
                    if isinstance(task.inputs.get(place), str):
                        _check_host(secret, place, task.inputs[place])
            except Refused as refused:
                rule = f"the secret {refused.told(origin)}"
                yield Problem(rule, task=task.key, field=field, value={SECRET: name}, code=refused.code(origin))

    async def value(self, name: str, task: Task, context: TaskContext) -> str:
        """The value of a secret for an attempt.

        Raises:
            TaskFailed: The attempt may not have it, or it cannot be read (`denied`).
        """
        try:
            secret = self._granted(name, task, context.origin)
            await self._check_hosts(secret, task, context)
            return await _value(secret)
        except Refused as refused:
            context.log.warning("the secret %s %s", shortened(name), refused.why)
            message = f"the secret {shortened(name)} {refused.told(context.origin)}"
        raise TaskFailed(message, error="denied")

    def _granted(self, name: str, task: Task, origin: str) -> Secret:
        secret = self.known.get(name)
        if secret is None:
            raise withheld(f"is unknown{self._nearest(name)}", task.executor, unknown=True)
        if not secret.given_to(task.executor):
            executors = ", ".join(secret.executors)
            raise withheld(f"is not for the executor {task.executor!r}, but for {executors}", task.executor)
        if origin != "local" and not secret.remote:
            raise withheld("is not for trees from outside, for it lacks remote = true", task.executor)
        return secret

    def _nearest(self, name: str) -> str:
        from difflib import get_close_matches  # noqa: PLC0415 - for an error only

        matches = get_close_matches(name, self.known, n=1)
        return f"; did you mean {matches[0]!r}?" if matches else "; the section [secrets.known] does not have it"

    async def _check_hosts(self, secret: Secret, task: Task, context: TaskContext) -> None:
        if secret.hosts is None:
            return
        named = {field: context.inputs[field] for field in INPUTS if context.inputs.get(field) is not None}
        hosts = [await self._checked(secret, field, value, task, context.origin) for field, value in named.items()]
        if not any(hosts):
            hosts_told = ", ".join(secret.hosts)
            why = f"is for the hosts {hosts_told}, and the inputs name none (in {', '.join(INPUTS)})"
            raise Refused(why, "is for certain hosts, and the inputs name none")

    async def _checked(self, secret: Secret, field: str, value: Json, task: Task, origin: str) -> str | None:
        """The host that an input names; it may be in a secret itself, which only the author can say."""
        if not names_secret(value) or task.inputs.get(field) != value:
            return _check_host(secret, field, value)
        return _check_host(secret, field, await _value(self._granted(value[SECRET], task, origin)), hidden=True)


def _check_host(secret: Secret, field: str, value: Json, *, hidden: bool = False) -> str | None:
    """The host that an input names.

    Args:
        secret: It must be for that host.
        field: The input.
        value: What it holds, which no message shows: a URL may have a password.
        hidden: Not even the host is shown.

    Raises:
        Refused: It names none, or another one.
    """
    if secret.hosts is None:
        return None
    try:
        host = host_in(field, value)
    except ValueError as error:
        rule = f"is for certain hosts, and inputs.{field} {error}"
        raise Refused(rule, rule) from None
    if host is None or covered(host, secret.hosts):
        return host
    told = "the host" if hidden else f"the host {host!r}"
    rule = f"is not for {told} that inputs.{field} names"
    raise Refused(f"{rule}, but for {', '.join(secret.hosts)}", rule)


async def _value(secret: Secret) -> str:
    if secret.env is not None:
        return read(secret)
    from asyncio import to_thread  # noqa: PLC0415 - creating a tree needs none of it

    return await to_thread(read, secret)
