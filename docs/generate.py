"""Writes the pages that are derived from code: `python docs/generate.py`; with `--check` it only says which are out of date.

- `docs/pages/reference/hooks.md` from `apflow_hookspecs.specs`
- `plugins/README.md` from what the plugins implement
"""
# ruff: noqa: INP001, T201 - a script, which prints

from __future__ import annotations

import ast
import importlib
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from inspect import cleandoc
from pathlib import Path
from types import ModuleType
from typing import Any

import apflow_hookspecs.specs

HOUSE = Path(__file__).resolve().parents[1]
SECTION = re.compile(r"^# -- (?P<title>.+?) -+$", re.MULTILINE)

HOOKS_HEAD = """# Hooks

<!-- Written by docs/generate.py from apflow_hookspecs.specs. -->

Every place at which a plugin can join in. An implementation bears `@hookimpl`, has the hook's name, and takes any subset of its
arguments, by name. Those that may be `async` say so; the host awaits them one after the other, in the order of the plugins'
names, and names the plugin in any error. None may be an async generator or a wrapper: what wraps an executor is a
[`Policy`](contract.md#apflow_hookspecs.Policy).
"""

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


def plugins_page() -> str:
    """The table of the plugins in this repository."""
    return PLUGINS_HEAD + "".join(_row(path.parent) for path in sorted((HOUSE / "plugins").glob("*/pyproject.toml")))


def _row(folder: Path) -> str:
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    plugin = importlib.import_module(project["entry-points"]["apflow"][folder.name.removeprefix("apflow-")])
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
