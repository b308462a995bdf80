"""The runner: one attempt of a task, from its inputs to what it came to.

References → `apflow_before_execute` → policies → structuring → executor → `apflow_after_execute` → the border. Whatever an
executor does, its attempt comes to exactly one end, and a late one is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any

from apflow.border import Border
from apflow.calls import Call, Calls, bad_input
from apflow.config import Settings
from apflow.deadlines import Deadlines
from apflow.host import Host
from apflow.inputs import gather, outcome
from apflow.journal import Journal
from apflow.known import missing_executor
from apflow.live import LiveTree
from apflow.policies import Policies
from apflow.references import find_secrets
from apflow.schedule import CANCELLED, FAILED
from apflow.secrecy import Secrecy
from apflow.structuring import DoesNotFit
from apflow.transitions import Transitions, now
from apflow.values import BadValue, checked, copied, encode
from apflow_hookspecs import MAX_INSTANT, Json, Lost, Retry, Storage, Task, TaskContext, TaskFailed, Wait

log = logging.getLogger("apflow.runner")

PROGRESS_INTERVAL = 1.0
LONGEST_DELAY = 1e12
"""Seconds: beyond all dates."""
STOPPED = {"timeout": "it ran out of time", "cancelled": "it was cancelled"}


class Attempt:
    """A task that is executing."""

    __slots__ = ("context", "handle", "live", "n", "overdue", "reason", "reported_at", "timeout", "timer")

    def __init__(self, live: LiveTree, n: int, timeout: float) -> None:
        self.live = live
        self.n = n
        self.timeout = timeout
        self.handle: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        """Runs while it is being stopped: its grace."""
        self.reason: str | None = None
        """Why it is being stopped: `timeout`, `cancelled`."""
        self.overdue = False
        """Whether its policies were told that its time is over."""
        self.context: TaskContext | None = None
        self.reported_at = -PROGRESS_INTERVAL

    @property
    def cancelled(self) -> bool:
        """Whether its task is to be cancelled; the request may still be on its way into the storage."""
        return self.reason == "cancelled" or self.n in self.live.cancelling


class Runner:
    """Runs attempts.

    Args:
        host: The plugins.
        settings: Timeouts and bounds.
        transitions: Where each attempt's end is written down.
        journal: Told when something was.
        storage: Asked for earlier attempts.
    """

    def __init__(self, host: Host, settings: Settings, transitions: Transitions, journal: Journal, storage: Storage) -> None:
        self.abandoned = 0
        """Attempts that did not end when they were told to; what they do is lost."""
        self._host = host
        self._settings = settings
        self._transitions = transitions
        self._journal = journal
        self._storage = storage
        self._due = journal.due
        self._calls = Calls(host.executors)
        self._policies = Policies(host, settings)
        self._secrecy = Secrecy(host)
        self._border = Border(settings, self._secrecy.redaction)
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._deadlines = Deadlines[Attempt](partial(self.stop, reason="timeout"))
        self._stoppers: set[asyncio.Task[None]] = set()

    def start(self, live: LiveTree, n: int) -> None:
        """Begin an attempt of a claimed task."""
        attempt = Attempt(live, n, live.tasks[n].timeout or self._settings.timeout)
        live.running[n] = attempt
        attempt.handle = self._loop.create_task(self._run(attempt))
        self._deadlines.add(attempt, attempt.timeout)

    def stop(self, attempt: Attempt, reason: str) -> None:
        """Have an attempt end: it is cancelled, gets its grace, and is abandoned after that."""
        if attempt.reason is not None or attempt.live.running.get(attempt.n) is not attempt:
            return
        attempt.reason = reason
        if attempt.timer is not None:
            attempt.timer.cancel()
        self._deadlines.remove(attempt, attempt.timeout)
        stopper = self._loop.create_task(self._cancel(attempt))
        self._stoppers.add(stopper)
        stopper.add_done_callback(self._stoppers.discard)
        attempt.timer = self._loop.call_later(self._settings.cancel_grace, self._abandon, attempt)

    def refuse(self, live: LiveTree, n: int) -> None:
        """A claimed task was cancelled before it could start."""
        live.cancelling.discard(n)
        error = {"code": "cancelled", "message": STOPPED["cancelled"], "details": None}
        self._transitions.failed(live, n, error, state=CANCELLED)
        self._due()

    async def drop(self, attempts: Sequence[Attempt]) -> None:
        """End attempts without writing anything down: they have their grace to clean up."""
        handles = []
        for attempt in attempts:
            if self._over(attempt):
                self._transitions.schedule.released(attempt.live, attempt.n)
            if attempt.handle is not None:
                attempt.handle.cancel()
                handles.append(attempt.handle)
        if handles:
            await asyncio.wait(handles, timeout=self._settings.cancel_grace)

    def close(self) -> None:
        """Let nothing outlive the engine."""
        self._deadlines.close()
        self._secrecy.redaction.close()

    async def _cancel(self, attempt: Attempt) -> None:
        task = attempt.live.tasks[attempt.n]
        cancel = getattr(self._host.executors.get(task.executor or ""), "cancel", None)
        if cancel is not None:
            try:
                # What is left of the grace is the coroutine's own.
                async with asyncio.timeout(self._settings.cancel_grace / 2):
                    await cancel(attempt.context or self._context(attempt, None))
            except BaseException:
                log.debug("cancel of executor %s raised", task.executor, exc_info=True)
        if attempt.handle is not None:
            attempt.handle.cancel()

    def _abandon(self, attempt: Attempt) -> None:
        if attempt.live.running.get(attempt.n) is not attempt:
            return
        self.abandoned += 1
        grace = f"it did not end within {self._settings.cancel_grace:g} s and was abandoned"
        code = "timeout" if attempt.reason != "cancelled" and (attempt.overdue or attempt.reason == "timeout") else "abandoned"
        self._fail(attempt, code, grace)

    async def _run(self, attempt: Attempt) -> None:
        try:
            try:
                result = await self._attempt(attempt, attempt.live.tasks[attempt.n])
                if attempt.reason is not None:
                    raise asyncio.CancelledError  # noqa: TRY301 - it was told to stop, and swallowed that
                encoded = b"" if isinstance(result, Wait) else self._border.encoded(result)
            except BaseException as error:  # noqa: BLE001 - an executor may raise anything, and the engine lives on
                self._end(attempt, error)
            else:
                self._done(attempt, result, encoded)
        except Exception as error:  # noqa: BLE001 - a fault of our own must not leave the task running for ever
            self._journal.fail(error)

    def _done(self, attempt: Attempt, result: Json | Wait, encoded: bytes) -> None:
        if isinstance(result, Wait) and attempt.cancelled:
            self._fail(attempt, "cancelled", STOPPED["cancelled"])
            return
        if not self._over(attempt):
            return
        if isinstance(result, Wait):
            self._transitions.waits(attempt.live, attempt.n, result)
        else:
            self._transitions.completed(attempt.live, attempt.n, result, encoded)
        self._due()

    def _end(self, attempt: Attempt, error: BaseException) -> None:
        if attempt.reason is not None:
            self._fail(attempt, attempt.reason, STOPPED[attempt.reason])
        elif attempt.cancelled and isinstance(error, Retry | Lost):
            self._fail(attempt, "cancelled", STOPPED["cancelled"])
        elif isinstance(error, asyncio.CancelledError):
            self._fail(attempt, "failed", "the executor cancelled itself")
        elif self._over(attempt):
            log.debug("task %s did not complete", attempt.live.tasks[attempt.n].id, exc_info=error)
            if isinstance(error, Retry):
                self._retry(attempt.live, attempt.n, error)
            elif isinstance(error, Lost):
                self.lose(attempt.live, attempt.n, f"what ran it is gone: {self._border.text(error.reason)}")
            else:
                self._transitions.failed(attempt.live, attempt.n, self._border.error(error))
            self._due()

    def _retry(self, live: LiveTree, n: int, retry: Retry) -> None:
        cause = retry.__cause__
        failure = self._border.error(TaskFailed(str(retry)) if cause is None else cause)
        error = {**failure, "retry_after": retry.after}
        self._transitions.kept(live, n, "retried", error)
        at = now() + round(min(retry.after, LONGEST_DELAY) * 1_000_000)
        self._transitions.waits(live, n, Wait("retry", min(at, MAX_INSTANT)), error=error)

    def _fail(self, attempt: Attempt, code: str, message: str) -> None:
        state = CANCELLED if attempt.cancelled else FAILED
        if self._over(attempt):
            error = {"code": code, "message": message, "details": None}
            self._transitions.failed(attempt.live, attempt.n, error, state=state)
            self._due()

    def lose(self, live: LiveTree, n: int, reason: str) -> None:
        """What ran a task is gone: it is recovered, or fails where it must not run twice or was lost too often."""
        task = live.tasks[n]
        executor = self._host.executors.get(task.executor or "")
        if (task.on_crash or getattr(executor, "on_crash", None)) == "fail":
            self._transitions.failed(live, n, {"code": "interrupted", "message": reason, "details": None})
        elif live.recoveries.get(n, 0) >= self._settings.max_recoveries:
            message = f"{reason}, {live.recoveries[n] + 1} times now"
            self._transitions.failed(live, n, {"code": "recovery_limit", "message": message, "details": None})
        else:
            self._transitions.kept(live, n, "recovered", {"code": "interrupted", "message": reason, "details": None})
            self._transitions.recovered(live, n, reason)
            self._transitions.schedule.released(live, n)
            self._transitions.schedule.again(live, n)

    def _over(self, attempt: Attempt) -> bool:
        """Whether this is the one end of the attempt: it is taken off the running ones."""
        if attempt.live.running.get(attempt.n) is not attempt:
            return False
        del attempt.live.running[attempt.n]
        attempt.live.cancelling.discard(attempt.n)
        self._deadlines.remove(attempt, attempt.timeout)
        if attempt.timer is not None:
            attempt.timer.cancel()
        return True

    async def _attempt(self, attempt: Attempt, task: Task) -> Json | Wait:
        live, executor = attempt.live, task.executor or ""
        try:
            call = self._calls[executor]
        except KeyError:
            raise TaskFailed(missing_executor(executor, self._host), error="executor_missing") from None
        inputs = gather(task, live.plan.dependencies[task.n], live, call)
        wrapped = self._policies.concern(task)
        context = None
        secrets = any(find_secrets(task.inputs)) or any(find_secrets(task.params))
        if wrapped or secrets or call.wants_context or self._host.gates_want_context:
            context = attempt.context = self._context(attempt, call)
        if self._host.gates_execution:
            inputs = await self._prepared(attempt, inputs, context)
        if context is not None:
            context.inputs = inputs
            if secrets:
                inputs, params = await self._secrecy.reveal(task, inputs, context)
                context.params = _params(call, params)
        invoke = partial(self._discreetly, call) if self._secrecy.redaction else call.invoke
        if wrapped and context is not None:
            context.since = await self._since(live, task)
            innermost = partial(invoke, inputs, context)
            result = await self._policies.around(task, innermost, context, partial(self._overdue, attempt))
        else:
            result = await invoke(inputs, context)
        if isinstance(result, Wait):
            return self._border.wait(result)
        if self._host.changes_results:
            result = await self._host.after_execute(task if context is None else context.task, result)
        return self._border.result(result)

    async def _discreetly(self, call: Call, inputs: Mapping[str, Any], context: TaskContext | None) -> Any:
        return self._border.discreet(await call.invoke(inputs, context))

    async def _since(self, live: LiveTree, task: Task) -> int:
        """When the first attempt of this run started, which after a restart the history tells."""
        since = live.since.get(task.n)
        if since is None:
            again = live.attempts[task.n] > 1 or task.recoveries
            earlier = await self._storage.attempts(live.tree.id, task.n) if again else ()
            starts = [each.started_at for each in earlier if each.run == live.run and each.started_at is not None]
            since = live.since[task.n] = min(starts, default=task.started_at or 0)
        return since

    @staticmethod
    def _overdue(attempt: Attempt) -> TaskFailed | None:
        """The end of an attempt that ran out of time, as its policies see it. They may answer it; it may still be cancelled."""
        if attempt.reason != "timeout":
            return None
        attempt.reason, attempt.overdue = None, True
        running = asyncio.current_task()
        if running is not None and running.cancelling():
            running.uncancel()
        return TaskFailed(STOPPED["timeout"], error="timeout")

    async def _prepared(self, attempt: Attempt, inputs: dict[str, Any], context: TaskContext | None) -> dict[str, Any]:
        task = attempt.live.tasks[attempt.n] if context is None else context.task
        changed = await self._host.before_execute(task, inputs, context)
        if changed is not inputs:
            try:
                changed = checked(changed, self._settings.max_depth)
            except BadValue as bad:
                raise TaskFailed(f"a plugin changed the inputs to what is not JSON, {bad}", error="bad_input") from None
            self._transitions.prepared(attempt.live, attempt.n, encode(changed))
            self._due()  # the history of an attempt that a crash ends is to tell them
        return changed

    def _context(self, attempt: Attempt, call: Call | None) -> TaskContext:
        live, task = attempt.live, attempt.live.tasks[attempt.n]
        params = dict(task.params) if call is None or any(find_secrets(task.params)) else _params(call, task.params)
        return TaskContext(
            task=copy(task),  # what an executor does to it changes nothing here
            attempt=live.attempts[attempt.n],
            params=params,
            results={live.tasks[n].key: copied(outcome(live, n)) for n in live.plan.dependencies[attempt.n]},
            origin=live.tree.origin,
            user_id=task.user_id,
            idempotency_key=f"{task.id}:{live.run}",
            reporter=partial(self._report, attempt),
        )

    def _report(self, attempt: Attempt, progress: float, message: str | None) -> None:
        if threading.get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self._report, attempt, progress, message)
            return
        at = self._loop.time()
        if attempt.live.running.get(attempt.n) is attempt and at - attempt.reported_at >= PROGRESS_INTERVAL:
            attempt.reported_at = at
            self._transitions.progressed(
                attempt.live, attempt.n, progress, None if message is None else self._border.text(message)
            )
            self._due()


def _params(call: Call, params: Mapping[str, Any]) -> Any:
    try:
        return call.params(params)
    except DoesNotFit as error:
        raise bad_input("params", error) from None
