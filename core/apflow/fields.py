"""One author's object → the fields of one task: names, types, ranges, and the earlier system's vocabulary.

References to other tasks (`parent_id`, `dependencies`) stay as written; `tree` resolves them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from attrs import define, field

from apflow.values import BadValue, checked, text
from apflow_hookspecs import EMPTY, Problem

ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
MAX_NAME = 255
MAX_SECONDS = 10 * 365 * 86_400

DROPPED = frozenset({
    "has_children", "has_copy", "has_references", "origin_type", "task_tree_id",
    "schedule_type", "schedule_expression", "schedule_enabled", "schedule_start_at", "schedule_end_at",
    "next_run_at", "last_run_at", "max_runs", "run_count",
    "lease_id", "lease_expires_at", "placement_constraints", "attempt_id", "idempotency_key", "last_assigned_node",
    "checkpoint_at", "resume_from", "attempt_count", "max_attempts", "backoff_strategy", "backoff_base_seconds",
    "token_usage", "token_budget", "estimated_cost_usd", "actual_cost_usd", "cost_policy",
    "run_id", "source_task_id", "result_snapshot_hash", "execution_identity", "error_info", "cancel_requested_at",
    "budget_scope_id",
})  # fmt: skip
"""Fields that only the earlier system knew: dropped with a warning."""

INITIAL: dict[str, tuple[Any, ...]] = {
    "status": ("pending",), "progress": (0,), "result": (), "error": (), "wait": (), "run": (0, 1), "attempt": (0,),
    "recoveries": (0,), "started_at": (), "completed_at": (),
}  # fmt: skip
"""Fields that belong to the engine, and the values besides null at which an author may give them."""

IGNORED = frozenset({"created_at", "updated_at", "tree_id", "original_task_id", "tree"})
"""Fields that belong to the engine and that an exported tree bears; they are made anew."""


class Rule(ValueError):
    """A value breaks the rule in its message; `path` (`.a.0`) leads to it, where it is not the whole value."""

    def __init__(self, rule: str, path: str = "") -> None:
        super().__init__(rule)
        self.path = path


@define
class Written:
    """What the author of one task wrote, checked field by field."""

    n: int
    id: str | None = None
    key: str | None = None
    name: str | None = None
    parent_id: str | None = None
    dependencies: dict[str, bool] = field(factory=dict)
    """Reference as written → whether it is required."""
    fields: dict[str, Any] = field(factory=dict)
    """The other fields, as `Task` takes them; those at their default are left out."""
    broken: frozenset[str] = frozenset()
    """Names of the fields that did not fit."""

    @property
    def label(self) -> str:
        """How a message calls the task."""
        return self.key or self.id or self.name or f"#{self.n}"


class Reader:
    """Reads the objects of one array, and collects what is wrong with them."""

    def __init__(self, max_depth: int) -> None:
        self.max_depth = max_depth
        self.problems: list[Problem] = []
        self.warnings: dict[str, Problem] = {}
        self._warned: dict[str, str] = {}

    def read(self, n: int, raw: Any) -> Written:
        """The task of one object; what does not fit is left out, and told in `problems`."""
        written = Written(n)
        if type(raw) is not dict and not isinstance(raw, Mapping):
            self.problems.append(Problem("must be an object", task=f"#{n}", field="task", value=raw))
            written.broken = frozenset(CHECKS)
            return written
        broken: list[tuple[str, Any, Rule]] = []
        for name, value in raw.items():
            if value is None:
                if name not in KNOWN:
                    broken.append((name, value, unknown_field(name)))
                continue
            check = CHECKS.get(name)
            try:
                if check is not None:
                    check(self, written, name, value)
                else:
                    self._other(name, value)
            except Rule as rule:
                broken.append((name, value, rule))
        self._settle_executor(written)
        for field_name in self._warned.keys() - self.warnings.keys():
            value = _at(raw, f".{field_name}")
            self.warnings[field_name] = Problem(self._warned[field_name], written.label, field_name, value, severity="warning")
        if broken:
            written.broken = frozenset(str(name) for name, _, _ in broken)
        for name, value, breach in broken:
            self.problems.append(Problem(str(breach), written.label, f"{name}{breach.path}", _at(value, breach.path)))
        return written

    def warn(self, field: str, rule: str) -> None:
        """Tell something once for the whole array, with the first task that it concerns."""
        self._warned.setdefault(field, rule)

    def _other(self, name: Any, value: Any) -> None:
        if name in INITIAL:
            if not any(value == initial and type(value) is not bool for initial in INITIAL[name]):
                allowed = " or ".join(["null", *map(repr, INITIAL[name])])
                raise Rule(f"is kept by the engine; on the way in it may only be {allowed}")
        elif name in DROPPED:
            self.warn(name, f"the field {name} of the earlier system means nothing here and was dropped")
        elif name not in IGNORED:
            raise unknown_field(name)

    @staticmethod
    def _settle_executor(written: Written) -> None:
        fields = written.fields
        if "_params_executor" in fields or "_schemas_method" in fields:
            of_params, of_schemas = fields.pop("_params_executor", None), fields.pop("_schemas_method", None)
            fields.setdefault("executor", of_params or of_schemas)


def unknown_field(name: Any) -> Rule:
    """The rule that a field breaks which there is not, with the nearest right name."""
    near = get_close_matches(str(name), PUBLIC, n=1)
    return Rule(f"there is no such field{f'; did you mean {near[0]!r}?' if near else ''}")


def _at(value: Any, path: str) -> Any:
    """The part of a value at a path of dots; the value where the path leads nowhere."""
    for step in path.split(".")[1:]:
        try:
            value = value[int(step)] if isinstance(value, list | tuple) else value[step]
        except (LookupError, TypeError, ValueError):
            break
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Rule("must be text")
    try:
        return text(value)
    except BadValue as bad:
        raise Rule(bad.rule) from None


def _identifier(_: Reader, written: Written, name: str, value: Any) -> None:
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise Rule("must be 1 to 128 of the characters A-Z a-z 0-9 . _ : -")
    setattr(written, name, value)


def _name(_: Reader, written: Written, name: str, value: Any) -> None:
    given = _text(value)
    if not 1 <= len(given) <= MAX_NAME:
        raise Rule(f"must have 1 to {MAX_NAME} characters, and has {len(given):,}")
    setattr(written, name, given)


def _parent(_: Reader, written: Written, __: str, value: Any) -> None:
    written.parent_id = _text(value)


def _owner(_: Reader, written: Written, name: str, value: Any) -> None:
    given = _text(value)
    if not 1 <= len(given) <= MAX_NAME:
        raise Rule(f"must have 1 to {MAX_NAME} characters")
    written.fields[name] = given


def _executor(_: Reader, written: Written, name: str, value: Any) -> None:
    given = _text(value)
    if not given:
        raise Rule("must name an executor; leave it out for a group")
    written.fields[name] = given


def _object(reader: Reader, written: Written, name: str, value: Any) -> None:
    if type(value) is not dict and not isinstance(value, Mapping):  # an abstract class is slow to ask
        raise Rule("must be an object")
    if not value:
        return
    try:
        written.fields[name] = checked(value if type(value) is dict else dict(value), reader.max_depth)
    except BadValue as bad:
        raise Rule(bad.rule, bad.path.replace("/", ".")) from None


def _params(reader: Reader, written: Written, name: str, value: Any) -> None:
    _object(reader, written, name, value)
    _lift(written, name, "executor_id", "_params_executor")


def _schemas(reader: Reader, written: Written, name: str, value: Any) -> None:
    _object(reader, written, name, value)
    _lift(written, name, "method", "_schemas_method")
    schemas = written.fields.get(name, EMPTY)
    for other in sorted(schemas.keys() - {"input_schema", "output_schema"}):
        if other not in {"type", "model"}:
            raise Rule("must be input_schema or output_schema", f".{other}")
        del schemas[other]
        reader.warn(f"schemas.{other}", f"schemas.{other} of the earlier system means nothing here and was dropped")
    if not schemas:
        written.fields.pop(name, None)


def _lift(written: Written, name: str, inner: str, to: str) -> None:
    """Take the executor's id out of the place where the earlier system's trees have it."""
    values = written.fields.get(name)
    if not values or inner not in values:
        return
    if not isinstance(values[inner], str) or not values[inner]:
        raise Rule("must name an executor", f".{inner}")
    written.fields[to] = values.pop(inner)
    if not values:
        del written.fields[name]


def _dependencies(reader: Reader, written: Written, _: str, value: Any) -> None:
    if not isinstance(value, (list, tuple)):
        raise Rule("must be an array")
    for index, entry in enumerate(value):
        try:
            ref, required = (_text(entry), True) if isinstance(entry, str) else _dependency(reader, entry)
        except Rule as rule:
            raise Rule(str(rule), f".{index}{rule.path}") from None
        written.dependencies[ref] = written.dependencies.get(ref, False) or required


def _dependency(reader: Reader, entry: Any) -> tuple[str, bool]:
    if not isinstance(entry, Mapping):
        raise Rule('must be a task\'s id or name, or {"id": …, "required": true}')
    for name in entry:
        if name == "type":
            reader.warn("dependencies.type", "the type of a dependency means nothing here and was dropped")
        elif name not in {"id", "name", "task_id", "key", "required"}:
            raise Rule("there is no such field", f".{name}")
    ref = next((entry[name] for name in ("id", "task_id", "name", "key") if entry.get(name) is not None), None)
    if not isinstance(ref, str):
        raise Rule("must name the task it depends on", ".id")
    required = entry.get("required", True)
    if not isinstance(required, bool):
        raise Rule("must be true or false", ".required")
    return _text(ref), required


def _priority(_: Reader, written: Written, name: str, value: Any) -> None:
    if type(value) is not int or not 0 <= value <= 9:  # noqa: PLR2004 - the rule's own bounds
        raise Rule("must be an integer from 0 (urgent) to 9")
    written.fields[name] = value


def _timeout(_: Reader, written: Written, name: str, value: Any) -> None:
    if type(value) not in {int, float} or not 0 < value <= MAX_SECONDS:
        raise Rule("must be a number of seconds above 0, and at most ten years")
    written.fields[name] = float(value)


def _on_crash(_: Reader, written: Written, name: str, value: Any) -> None:
    if value not in ("rerun", "fail"):
        raise Rule("must be 'rerun' or 'fail'")
    written.fields[name] = value


CHECKS: dict[str, Callable[[Reader, Written, str, Any], None]] = {
    "id": _identifier, "key": _name, "name": _name, "parent_id": _parent, "user_id": _owner, "executor": _executor,
    "inputs": _object, "params": _params, "policies": _object, "schemas": _schemas, "labels": _object,
    "dependencies": _dependencies, "priority": _priority, "timeout": _timeout, "on_crash": _on_crash,
}  # fmt: skip
KNOWN = frozenset(CHECKS) | frozenset(INITIAL) | DROPPED | IGNORED
PUBLIC = sorted(CHECKS)
FIXED = frozenset({"id", "key", "parent_id", "user_id"})
"""What makes a task that task, and not another."""
CHANGEABLE = tuple(name for name in PUBLIC if name not in FIXED)
"""The fields that an update, or a copy, may replace."""
