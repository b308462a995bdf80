"""Writes the pages that are derived from code: `python docs/generate.py`; with `--check` it only says which are out of date.

- `docs/pages/reference/hooks.md` from `apflow_hookspecs.specs`
- `docs/pages/reference/operations.md` from `apflow.operations.CATALOGUE`
- `plugins/README.md` from what the plugins implement
"""
# ruff: noqa: INP001, T201 - a script, which prints

from __future__ import annotations

import ast
import importlib
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from inspect import cleandoc
from pathlib import Path
from types import ModuleType
from typing import Any

import apflow_hookspecs.specs
from apflow.operations import CATALOGUE
from apflow_hookspecs import Operation

HOUSE = Path(__file__).resolve().parents[1]
SECTION = re.compile(r"^# -- (?P<title>.+?) -+$", re.MULTILINE)

HOOKS_HEAD = """# Hooks

<!-- Written by docs/generate.py from apflow_hookspecs.specs. -->

Every place at which a plugin can join in. An implementation bears `@hookimpl`, has the hook's name, and takes any subset of its
arguments, by name. Those that may be `async` say so; the host awaits them one after the other, in the order of the plugins'
names, and names the plugin in any error. None may be an async generator or a wrapper: what wraps an executor is a
[`Policy`](contract.md#apflow_hookspecs.Policy).
"""

OPERATIONS_HEAD = """# Operations

<!-- Written by docs/generate.py from apflow.operations.CATALOGUE. -->

Everything that can be asked of an engine: in Python by `await engine.call("tasks.get", {"task_id": "t"}, Caller.local())`, in
the command of a plugin by `session.call("tasks.get", task_id="t")`.

Parameters are an object by name, or an array in the order of the table. Types are strict, and unknown names are refused. An
operation needs its scope, or `admin`, which includes all; the user of this machine has them all. Each may also raise
[`InvalidParams`](contract.md#apflow_hookspecs.errors.InvalidParams) (-32602) and
[`PermissionDenied`](contract.md#apflow_hookspecs.errors.PermissionDenied) ({denied}).
"""

TYPES = {"array": "array", "boolean": "true or false", "integer": "integer", "null": "null", "number": "number",
         "object": "object", "string": "text"}  # fmt: skip
PLURALS = {"integer": "integers", "number": "numbers", "object": "objects"}
BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "length at least {}",
    "maxLength": "length at most {}",
    "minItems": "at least {} entries",
    "maxItems": "at most {} entries",
    "pattern": "as `{}`",
}

PLUGINS_HEAD = """# Plugins

<!-- Written by docs/generate.py from what the plugins implement. -->

Each folder is a distribution of its own, named as the folder, and all have one shape: `pyproject.toml`, `README.md`, the
package, `tests/`. The host's own two plugins, the storage `memory:` and the validators, are modules of `core/apflow`.

| plugin | hooks it implements | what it adds |
| --- | --- | --- |
"""


def hooks_page() -> str:
    """The hook reference."""
    source = Path(apflow_hookspecs.specs.__file__).read_text()
    titles = {source.count("\n", 0, found.start()) + 1: found["title"] for found in SECTION.finditer(source)}
    parts = [HOOKS_HEAD]
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            parts.extend(f"## {titles.pop(line).capitalize()}\n" for line in sorted(titles) if line < node.lineno)
            parts.append(_hook(node))
    return "\n".join(parts)


def _hook(node: ast.FunctionDef) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    signature = f"{node.name}({ast.unparse(node.args)}){returns}"
    return f"### {node.name}\n\n```python\n{signature}\n```\n\n{_with_fences(ast.get_docstring(node) or '')}\n"


def _with_fences(text: str) -> str:
    """A docstring whose indented blocks became fenced ones, which are highlighted."""
    blocks = re.sub(r"\n\n((?:    .*(?:\n|$)|\n(?=    ))+)", lambda found: f"\n\n{_fenced(found[1])}\n", text)
    return blocks.rstrip()


def _fenced(block: str) -> str:
    return f"```python\n{cleandoc(block)}\n```\n"


def operations_page() -> str:
    """The reference of the operations."""
    denied = apflow_hookspecs.errors.PermissionDenied.code
    return "\n".join([OPERATIONS_HEAD.replace("{denied}", str(denied)), *map(_operation, CATALOGUE.values())])


def _operation(operation: Operation) -> str:
    schema = CATALOGUE.describe(operation.name)["params"]
    also = [schema["description"]] if operation.arrange else []
    errors = [f"[`{e.__name__}`](contract.md#apflow_hookspecs.errors.{e.__name__}) ({e.code})" for e in operation.errors]
    refuses = f" Errors: {', '.join(errors)}." if errors else ""
    parts = [f"## {operation.name}", operation.summary, *also, f"Scope: `{operation.scope}`.{refuses}", _table(schema)]
    return "\n\n".join(parts) + "\n"


def _table(schema: Mapping[str, Any]) -> str:
    if not schema["properties"]:
        return "No parameters."
    rows = (_parameter(name, part, name in schema["required"]) for name, part in schema["properties"].items())
    return "\n".join(["| parameter | type | default | rule |", "| --- | --- | --- | --- |", *rows])


def _parameter(name: str, schema: Mapping[str, Any], required: bool) -> str:  # noqa: FBT001 - a cell of the row
    choices = schema.get("anyOf", [schema])
    told = [part["description"] for part in [schema, *choices] if "description" in part][:1]
    bounds = [words.format(part[key]) for part in choices for key, words in BOUNDS.items() if key in part]
    rule = " ".join([*told, *(f"{bound[0].upper()}{bound[1:]}." for bound in bounds)])
    default = "required" if required else f"`{json.dumps(schema.get('default'))}`"
    cells = [f"`{name}`", " or ".join(dict.fromkeys(map(_type, choices))), default, rule]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[`{name}`](contract.md#apflow_hookspecs.{name})" if hasattr(apflow_hookspecs, name) else f"`{name}`"
    if schema.get("format") == "date-time":
        return "date and time"
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(choice)}`" for choice in schema["enum"])
    if schema.get("type") == "array" and "items" in schema:
        item = _type(schema["items"])
        return f"array of {PLURALS.get(item, item)}"
    return TYPES[schema["type"]] if "type" in schema else "any JSON value"


def plugins_page() -> str:
    """The table of the plugins in this repository."""
    return PLUGINS_HEAD + "".join(_row(path.parent) for path in sorted((HOUSE / "plugins").glob("*/pyproject.toml")))


def _row(folder: Path) -> str:
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    module, _, name = project["entry-points"]["apflow"][folder.name.removeprefix("apflow-")].partition(":")
    plugin = importlib.import_module(module)
    plugin = getattr(plugin, name)() if name else plugin
    hooks = {name: hook for name in sorted(dir(plugin)) if hasattr(hook := getattr(plugin, name), "apflow_impl")}
    names = ", ".join(f"`{name}`" for name in hooks)
    return f"| [{folder.name}]({folder.name}/README.md) | {names} | {', '.join(_added(plugin, hooks))} |\n"


WHAT: dict[str, tuple[str, Callable[[Any], str]]] = {
    "apflow_executors": ("executor", lambda executor: executor.id),
    "apflow_storages": ("storage", lambda storage: f"{storage.scheme}:"),
    "apflow_policies": ("policy", lambda policy: policy.name),
    "apflow_commands": ("command", lambda command: f"apflow {command.name}"),
}


def _added(plugin: ModuleType, hooks: dict[str, object]) -> Iterator[str]:
    for hook, (kind, key) in WHAT.items():
        if hook in hooks:
            yield from (f"{kind} `{key(value)}`" for value in getattr(plugin, hook)())


PAGES: dict[Path, Callable[[], str]] = {
    HOUSE / "docs" / "pages" / "reference" / "hooks.md": hooks_page,
    HOUSE / "docs" / "pages" / "reference" / "operations.md": operations_page,
    HOUSE / "plugins" / "README.md": plugins_page,
}


def stale() -> dict[Path, str]:
    """The pages that are not what they should be, with what they should be."""
    texts = {path: page() for path, page in PAGES.items()}
    return {path: text for path, text in texts.items() if not path.exists() or path.read_text() != text}


def main(*, check: bool) -> int:
    """Write what is out of date, or only name it."""
    pages = stale()
    for path, text in pages.items():
        print(f"{path.relative_to(HOUSE)} {'is out of date: python docs/generate.py' if check else 'written'}")
        if not check:
            path.write_text(text)
    return int(check and bool(pages))


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
