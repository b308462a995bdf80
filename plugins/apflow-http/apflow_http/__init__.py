"""The executor of apflow that makes HTTP requests.

`rest_executor` makes one request for each task, through the guard of `apflow_guard`, which the operator may open. What else an
operator may set stands in `apflow_http.options`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apflow_hookspecs import Engine, ExecutableTask, Problem, Task, hookimpl
from apflow_http.options import Options
from apflow_http.rest import RestExecutor

__all__ = ["Http", "Options", "RestExecutor"]


class Http:
    """The plugin, one for each host: its executor holds what the operator allows, and the connections."""

    def __init__(self) -> None:
        self._rest = RestExecutor()

    @hookimpl
    def apflow_executors(self) -> Iterator[ExecutableTask]:
        """Provide the executor."""
        yield self._rest

    @hookimpl
    def apflow_startup(self, engine: Engine) -> None:
        """Read the sections `[http]` and `[guard]`; until then only public addresses can be reached, and nothing be saved."""
        from apflow_guard import Guard, GuardOptions  # noqa: PLC0415 - a plugin is imported at every start

        self._rest.options = engine.section("http", Options)
        self._rest.guard = Guard(engine.section("guard", GuardOptions))

    @hookimpl
    def apflow_validate_task(self, task: Task, executor: ExecutableTask | None) -> Iterable[Problem]:
        """Refuse what is known to be wrong before it is sent."""
        return list(self._rest.problems(task)) if executor is self._rest else ()

    @hookimpl
    async def apflow_shutdown(self) -> None:
        """Close the connections."""
        await self._rest.aclose()
