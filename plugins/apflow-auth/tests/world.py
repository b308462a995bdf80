"""A server on which two users, and nobody, have trees in every state, and one of the users asks."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, frozen
from samples import echo

from apflow_hookspecs import Caller, TaskContext, Wait, executor

from .conftest import Front, front

USER = ("read", "submit", "cancel")
STATES = ("pending", "completed", "waiting", "running")


@executor("ask")
async def ask(context: TaskContext) -> Any:
    return Wait.for_input("may I?") if context.wait is None else context.answer


@executor("hold")
async def hold() -> None:
    await asyncio.Event().wait()


@define
class World:
    """A server on which both users, and nobody, have a tree in every state."""

    server: Front
    me: str
    other: str
    headers: dict[str, str]

    @property
    def own(self) -> str:
        return f"{self.me}-pending"

    @property
    def foreign(self) -> list[str]:
        """Ids of tasks that are not mine: roots, and what is under them."""
        roots = [f"{owner}-{state}" for owner in (self.other, "nobody") for state in STATES]
        return [task_id for root in roots for task_id in (root, f"{root}-leaf")]

    async def call(self, name: str, params: Any) -> Answer:
        return Answer.of(await self.server.call(name, params, self.headers))

    async def ask(self, method: str, path: str, **more: Any) -> Answer:
        return Answer.of(
            await self.server.http.request(method, path, headers={**self.headers, **more.pop("headers", {})}, **more)
        )

    async def stored(self, *owners: str) -> list[Any]:
        """All that is kept of some users' trees."""
        trees = [f"{owner}-{state}" for owner in owners for state in STATES]
        return [await self.server.engine.call("tasks.tree", {"task_id": one, "flat": True}, Caller.local()) for one in trees]

    async def empty(self) -> None:
        """Delete what is not mine."""
        engine = self.server.engine
        for root in self.foreign[::2]:
            await engine.call("tasks.cancel", {"task_id": root}, Caller.local())
            if "pending" not in root:
                await engine.manager.wait(root, 30)
            await engine.call("tasks.delete", {"task_id": root}, Caller.local())


@frozen
class Answer:
    """All of an answer that its reader gets to see."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes

    @classmethod
    def of(cls, answer: Any) -> Answer:
        return cls(answer.status_code, tuple(answer.headers.items()), answer.content)

    @property
    def refuses(self) -> bool:
        """Whether it is a refusal, or the verdict of one."""
        return 400 <= self.status < 500 or b'"result":{"valid":false,' in self.content


def tree_of(owner: str, state: str) -> list[dict[str, Any]]:
    root = f"{owner}-{state}"
    executors = {"pending": "echo", "completed": "echo", "waiting": "ask", "running": "hold"}
    secret = {"value": f"canary of {owner}"} if executors[state] == "echo" else {}
    leaf = {
        "id": f"{root}-leaf",
        "parent_id": root,
        "name": f"canary of {owner}",
        "executor": executors[state],
        "inputs": secret,
    }
    return [{"id": root, "name": f"canary of {owner}"}, leaf]


async def furnish(server: Front, owner: str) -> None:
    """Make a tree in every state, as their owner would; nobody's are made on this machine."""
    caller = Caller.local() if owner == "nobody" else Caller(owner, frozenset(USER))
    for state in STATES:
        await server.engine.call("tasks.create", {"tasks": tree_of(owner, state), "execute": state != "pending"}, caller)
    await server.engine.manager.wait(f"{owner}-completed", 30)
    for state, event in (("waiting", "task_waiting"), ("running", "task_started")):
        async for seen in server.engine.watch(f"{owner}-{state}"):
            if seen.type == event:
                break


@asynccontextmanager
async def furnished(me: str, other: str):
    async with front(echo, ask, hold) as server:
        for owner in (me, other, "nobody"):
            await furnish(server, owner)
        yield World(server, me, other, await server.token(me, *USER))
