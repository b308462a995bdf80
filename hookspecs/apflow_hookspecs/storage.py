"""What a storage does: write batches, and read a few things.

There is one way to write, `Storage.commit`: one batch, one transaction. Compare-and-set guards it twice: a tree's changes
carry the token of its owner, and a task's move names the status that it starts from. When a tree loses either, nothing of the
whole batch is written and the answer names the trees that lost; the caller drops these and commits the rest.

Inside the engine and the storage a task is (tree, n); ids are for the outside. The rows of a batch are plain tuples of str,
int, float, bytes and None. Instants are integer microseconds; JSON is UTF-8 bytes. What is handed over the storage may keep;
what it hands out is its reader's to change.

`StorageContract` in `apflow.testing` is this contract as tests; every storage passes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from attrs import define, field, frozen

from apflow_hookspecs.task import Event, Json, Task, TaskTree

Move = tuple[int, str, str, int, int, int, bytes | None, bytes | None, bytes | None]
"""(n, expected status, status, at, attempt, recoveries, result, error, wait): any transition that is neither of the next two.

It replaces attempt, recoveries, result, error and wait, and the run by the change's. A move to a settled status sets
`completed_at`; one to `pending` clears `started_at`, `completed_at` and the progress, unless it leaves `waiting` with the same
attempt, which goes on; one to `in_progress` sets `started_at`. Results, errors and waits (`Wait.as_json`) are JSON.
"""
Claim = tuple[int, int, int]
"""(n, attempt, at): pending → in_progress; sets `started_at` where it is not set. The wait stays, with its answer."""
Completion = tuple[int, int, bytes]
"""(n, at, result): in_progress → completed, with progress 1; clears the wait."""
Update = tuple[int, Mapping[str, Any]]
"""(n, {field: value}): author's fields (as in `Task`), `run`, `progress`, `updated_at`, `resolved` (inputs a hook changed)."""
AttemptRow = tuple[int, int, int, int | None, int, str, bytes | None, bytes | None, bytes | None]
"""(n, attempt, run, started, ended, outcome, inputs, result, error) of an attempt whose task's row is about to be rewritten."""
EventRow = tuple[int, str, int | None, str, int, int, str | None, Mapping[str, Any] | None]
"""(seq, type, n or None for the tree, status, at, attempt, actor, data)."""


@define
class Change:
    """What happens to one stored tree in a batch, in the order in which it is written."""

    token: str
    """The owner's, which must still be the tree's."""
    run: int
    moves: list[Move] = field(factory=list)
    updates: list[Update] = field(factory=list)
    claims: list[Claim] = field(factory=list)
    completions: list[Completion] = field(factory=list)
    attempts: list[AttemptRow] = field(factory=list)
    events: list[EventRow] = field(factory=list)
    tree: dict[str, Any] = field(factory=dict)
    """Fields of the tree's record: status, status_at, run, requested_at, archived_at."""


@frozen
class RecordWrite:
    """One write to the record store.

    Args:
        namespace: The plugin's name.
        value: JSON; None deletes.
        expected: The version that it replaces, 0 for "not there yet"; None writes whatever is there.
        expires_at: Instant after which it is gone.
    """

    namespace: str
    key: str
    value: bytes | None
    expected: int | None = None
    expires_at: int | None = None


@define
class Batch:
    """One transaction: records, new trees, changes, then deletions."""

    records: list[RecordWrite] = field(factory=list)
    trees: list[TaskTree] = field(factory=list)
    """To insert, with all their tasks, as they are."""
    changes: dict[str, Change] = field(factory=dict)
    """By tree id; of a tree that is inserted in the same batch too."""
    deletes: list[tuple[str, str, Sequence[int] | None]] = field(factory=list)
    """(tree id, token, numbers of the tasks or None for the whole tree)."""


@frozen
class Committed:
    """What became of a batch: written when all three are empty, else not written at all.

    Args:
        lost: Trees whose token or whose task's status was not the expected one, or that are not there.
        taken: Of trees to insert, the task ids that exist already.
        stale: (namespace, key) of records that were not at the expected version.
    """

    lost: tuple[str, ...] = ()
    taken: Mapping[str, tuple[str, ...]] = field(factory=dict)
    stale: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        """Whether it was written."""
        return not (self.lost or self.taken or self.stale)


@frozen
class TaskQuery:
    """What a listing asks for; None does not ask. Newest tree first, within it in the order of creation.

    Args:
        statuses: Any of these; of roots, when `root_only`, the status of the tree.
        user_id: The owner.
        root_only: Only roots.
        context_id: The tree's conversation.
        changed_since: Instant: what changed then or later.
        unchanged_since: Instant: what has not changed then or later.
        cursor: Where the page before ended, as it was handed out.
        limit: Tasks a page.
    """

    statuses: tuple[str, ...] | None = None
    user_id: str | None = None
    root_only: bool = False
    name: str | None = None
    context_id: str | None = None
    changed_since: int | None = None
    unchanged_since: int | None = None
    cursor: str | None = None
    limit: int = 100


@frozen
class Page:
    """One page of a listing.

    Args:
        tasks: In the order asked for.
        trees: Their trees' records, by id, without tasks.
        cursor: Where the next page starts; None on the last.
        total: How many tasks all pages hold.
    """

    tasks: tuple[Task, ...]
    trees: Mapping[str, TaskTree]
    cursor: str | None
    total: int


@frozen
class Attempt:
    """One attempt of a task that is over.

    Args:
        outcome: completed, failed, cancelled, retried, recovered, or waiting.
        inputs: As resolved for the attempt, where they were stored.
    """

    task_id: str
    attempt: int
    run: int
    started_at: int | None
    ended_at: int
    outcome: str
    inputs: Json = None
    result: Json = None
    error: Json = None


@frozen
class Record:
    """One entry of the record store; `version` counts from 1 with every write."""

    namespace: str
    key: str
    value: bytes
    version: int
    expires_at: int | None = None


class Storage(Protocol):
    """Where trees, their events and the plugins' records are kept. Every failure to reach it is a `StorageUnavailable`."""

    endpoint: str | None
    """Path of the Unix socket on which its owner serves the operations; None where there is none."""

    async def commit(self, batch: Batch) -> Committed:
        """Write a batch whole or not at all; when it returns, the batch is durable as the storage was configured."""
        ...

    async def acquire(self, tree_id: str, token: str, owner: str) -> bool:
        """Make `token` the tree's: from now on only changes that bear it are written. False when another owner is alive."""
        ...

    async def release(self, tree_id: str, token: str) -> None:
        """Give the tree up, where `token` is still its owner's."""
        ...

    async def task(self, task_id: str) -> Task | None:
        """One task."""
        ...

    async def tree(self, tree_id: str) -> TaskTree | None:
        """A tree with all its tasks; takes the root's id."""
        ...

    async def existing(self, task_ids: Sequence[str]) -> list[str]:
        """Those of some ids that stored tasks have, in the order given."""
        ...

    async def children(self, task_id: str) -> list[Task]:
        """The tasks directly under one."""
        ...

    async def find(self, query: TaskQuery) -> Page:
        """A page of tasks."""
        ...

    async def count(self, query: TaskQuery) -> dict[str, int]:
        """How many tasks of each status a query finds; statuses without any are left out."""
        ...

    async def open_trees(self) -> list[str]:
        """Ids of the trees whose requested execution has not settled, oldest request first."""
        ...

    async def events(self, tree_id: str, after: int = 0, limit: int = 1000) -> list[Event]:
        """Events with a number above `after`, in order."""
        ...

    async def attempts(self, tree_id: str, n: int | None = None) -> list[Attempt]:
        """The attempts of a task, or of all, that are no longer in the task's row, oldest first."""
        ...

    async def resolved(self, tree_id: str) -> dict[int, bytes]:
        """The resolved inputs of the current attempts of a tree's tasks, by number, where a hook changed them."""
        ...

    async def record(self, namespace: str, key: str) -> Record | None:
        """One record that has not expired."""
        ...

    async def records(self, namespace: str, prefix: str = "") -> list[Record]:
        """The records of a namespace whose key starts with `prefix`, by key."""
        ...

    async def info(self) -> dict[str, Json]:
        """Facts for people and `apflow db info`: location, schema, size, counts."""
        ...

    async def migrate(self) -> list[str]:
        """Bring the schema up to date, one transaction a step; the names of the steps taken."""
        ...

    async def check(self) -> list[str]:
        """What is wrong with the stored data; empty when nothing is."""
        ...

    async def backup(self, target: str) -> None:
        """Write a consistent copy while others read and write."""
        ...

    async def close(self) -> None:
        """Give up every resource. Closing twice does nothing."""
        ...


@frozen
class StorageOptions:
    """What the host tells a storage when it opens it.

    Args:
        durability: `full` survives loss of power, `process` survives the process.
        read_only: For looking only: nothing is created, owned or migrated.
        section: The storage's own part of the configuration, as read.
    """

    durability: str = "full"
    read_only: bool = False
    section: Mapping[str, Any] = field(factory=dict)


@frozen
class StorageScheme:
    """A storage that a plugin provides, chosen by the scheme of a URL (`sqlite:///flow.db`).

    Args:
        scheme: The part of the URL before the colon.
        open: Opens (and, unless read only, creates and migrates) the storage behind a URL.
        summary: One line.
    """

    scheme: str
    open: Callable[[str, StorageOptions], Awaitable[Storage]]
    summary: str = ""
