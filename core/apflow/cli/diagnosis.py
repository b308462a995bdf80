"""What `apflow doctor` finds out, without changing anything."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from attrs import evolve, frozen

from apflow.calls import Call
from apflow.cli.program import shadowed
from apflow.cli.session import Session
from apflow.cli.text import plural
from apflow.engine import open_engine, open_storage
from apflow.host import Host
from apflow.plugins import PluginState, normalised
from apflow.remote import connected
from apflow_hookspecs import Caller, Json, Storage
from apflow_hookspecs.errors import ApflowError, ConfigError, StorageOwned, StorageUnavailable

MIB = 1 << 20
FULL, SCARCE = 4 * MIB, 256 * MIB
"""Bytes below which a disk counts as full, and as almost full."""
LOOKED_THROUGH = 1024 * MIB
"""Bytes up to which a storage is looked through."""
PATIENCE, PAUSE = 2.0, 0.1
"""Seconds for which a storage's owner may be out of reach, and between one try and the next."""


@frozen
class Finding:
    """One thing that was looked at.

    Args:
        state: How it stands.
        about: What it is about: `python`, `apflow`, `configuration`, `plugin` or `storage`.
        text: What was found, and what to do.
    """

    state: Literal["ok", "warning", "error"]
    about: str
    text: str


async def findings(session: Session) -> list[Finding]:
    """Everything, in the order in which one thing rests on the other."""
    found = [
        Finding("ok", "python", f"{platform.python_version()} on {platform.platform(terse=True)}"),
        Finding("ok", "apflow", version("apflow")),
    ]
    try:
        found.append(Finding("ok", "configuration", _configuration(session)))
    except ConfigError as error:
        lines = [str(problem) for problem in error.problems] or [error.message]
        return [*found, *(Finding("error", "configuration", line) for line in lines)]
    found.extend(_plugins(session))
    if not session.host.conflicts:
        found.extend(await _start(session))
    try:
        async for finding in _storage(session):
            found.append(finding)  # noqa: PERF401 - what was found before an error stays
    except StorageUnavailable as error:
        found.append(Finding("error", "storage", error.message))
    except ConfigError as error:
        found.append(Finding("error", "configuration", error.message))
    return found


def _configuration(session: Session) -> str:
    sources = sorted(set(session.settings.sources.values()))
    return f"from {', '.join(sources)}" if sources else "nothing is set; the defaults hold"


def _plugins(session: Session) -> Iterator[Finding]:
    for plugin in session.plugins:
        if plugin.state is PluginState.OFF:
            advice = "mend or uninstall it, or name it in plugins.block"
            yield Finding("warning", "plugin", f"{plugin.label} is off: {plugin.reason}; {advice}")
        else:
            why = f": {plugin.reason}" if plugin.reason else ""
            troubled = plugin.state is PluginState.ON and plugin.reason
            yield Finding("warning" if troubled else "ok", "plugin", f"{plugin.label} is {plugin.state}{why}")
    conflicts = session.host.conflicts
    yield from (Finding("error", "plugin", conflict.message) for conflict in conflicts)
    yield from _strangers(session)
    if not conflicts:
        yield from (Finding("warning", "plugin", warning) for warning in shadowed(session))
        yield from _executors(session.host)


def _strangers(session: Session) -> Iterator[Finding]:
    """Names in the configuration that mean nothing here: they may be misspelt."""
    choice, plugins = session.settings.plugins, session.plugins
    installed = {normalised(name) for plugin in plugins for name in (plugin.name, plugin.distribution or plugin.name)}
    for option, names in (("allow", choice.allow), ("block", choice.block)):
        for name in names:
            if normalised(name) not in installed:
                yield Finding("warning", "configuration", f"plugins.{option} names {name!r}, and no such plugin is installed")
    if not session.host.conflicts:
        for executor in sorted(session.settings.limits.keys() - session.host.executors.keys()):
            yield Finding("warning", "configuration", f"limits names {executor!r}, and no plugin provides such an executor")


async def _start(session: Session) -> list[Finding]:
    """Whether an engine starts, as every command has it do; on a storage in memory, so that nothing is changed."""
    try:
        async with open_engine(host=session.host, settings=evolve(session.settings, db="memory:"), served=False):
            return []
    except ApflowError as error:
        lines = [str(problem) for problem in error.problems] or [error.message]
        return [Finding("error", "configuration" if isinstance(error, ConfigError) else "plugin", line) for line in lines]


def _executors(host: Host) -> Iterator[Finding]:
    """Those that no task can be made of; this is seen only when they are first called."""
    for id, executor in host.executors.items():
        try:
            Call(executor)
        except TypeError as error:
            yield Finding("warning", "plugin", f"{host.provider('executor', id).label} has what cannot be called: {error}")


async def _storage(session: Session) -> AsyncIterator[Finding]:
    url = session.settings.db
    path = _file(url)
    yield Finding("ok", "storage", f"is {path or url}")
    if path is not None:
        place = _place(path)
        yield _space(place)
        if not path.exists():
            yield _creatable(path, place)
            return
    async with _opened(session, read_only=True) as storage:
        async for finding in _contents(storage):
            yield finding
        unfinished = len(await storage.open_trees())
    yield await _ownership(session, unfinished)


def _file(url: str) -> Path | None:
    """The path in a URL as `sqlite:////data/flow.db`, where it has one."""
    _, separator, path = url.partition(":///")
    return Path(path).absolute() if separator and path else None


def _place(path: Path) -> Path:
    """The nearest thing above a file that is there."""
    return next(folder for folder in path.parents if folder.exists())


def _space(place: Path) -> Finding:
    left = shutil.disk_usage(place).free
    if left < FULL:
        return Finding("error", "storage", f"the disk of {place} is full ({left / MIB:.1f} MiB are left); make room")
    if left < SCARCE:
        return Finding("warning", "storage", f"the disk of {place} has {left // MIB:,} MiB left; make room before it is full")
    return Finding("ok", "storage", f"the disk has {left // MIB:,} MiB left")


def _creatable(path: Path, place: Path) -> Finding:
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        advice = "has to be a folder that this user may write, or name another file"
        return Finding("error", "storage", f"{path} is not there and cannot be created: {place} {advice}")
    return Finding("ok", "storage", "is not there yet; what writes to it first creates it")


@asynccontextmanager
async def _opened(session: Session, *, read_only: bool) -> AsyncIterator[Storage]:
    storage = await open_storage(session.host, session.settings, read_only=read_only)
    try:
        yield storage
    finally:
        await storage.close()


async def _contents(storage: Storage) -> AsyncIterator[Finding]:
    facts = await storage.info()
    warnings: Json = facts.pop("warnings", [])
    told = (f"{name} {value}" for name, value in facts.items() if isinstance(value, str | int) and name != "location")
    yield Finding("ok", "storage", f"can be read: {', '.join(told)}")
    for warning in warnings:
        yield Finding("warning", "storage", warning)
    size = facts.get("size")
    if isinstance(size, int) and size > LOOKED_THROUGH:
        yield Finding("ok", "storage", "is large, and was not looked through; `apflow db check` does that")
        return
    damage = await storage.check()
    for problem in damage:
        yield Finding(
            "error", "storage", f"is damaged: {problem}; move it aside with its -wal and -shm files, and restore a copy"
        )
    if not damage:
        yield Finding("ok", "storage", "holds together")


async def _ownership(session: Session, unfinished: int) -> Finding:
    """Who has it open; where that is nobody, whether it can be written, and whether something was left in it."""
    clock = asyncio.get_running_loop().time
    until = clock() + PATIENCE
    while True:
        try:
            return await _owner(session) or _left(unfinished)
        except StorageOwned as error:
            if clock() > until:
                return Finding("error", "storage", error.message)
        await asyncio.sleep(PAUSE)


async def _owner(session: Session) -> Finding | None:
    try:
        async with _opened(session, read_only=False):
            return None
    except StorageOwned as owned:
        async with connected(owned) as owner:
            try:
                health = await owner.call("system.health", {}, Caller.local())
            except ApflowError as error:
                return Finding("error", "storage", f"{owner.place} has it open, and answers: {error.message}")
        well = health["status"] == "ok"
        state = "answers" if well else f"is {health['status']}; see its log"
        return Finding("ok" if well else "warning", "storage", f"{owner.place} has it open, and {state}")


def _left(unfinished: int) -> Finding:
    if unfinished:
        are, them = ("is", "it") if unfinished == 1 else ("are", "them")
        left = f"{plural(unfinished, 'tree')} {are} not finished, and nobody runs {them}"
        return Finding("warning", "storage", f"{left}; `apflow resume` goes on with {them}")
    return Finding("ok", "storage", "can be written; no process has it open")
