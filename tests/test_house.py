"""The rules of the house, held by tests."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

import apflow

HOUSE = Path(__file__).resolve().parents[1]
HOST = HOUSE / "core" / "apflow"
CONTRACT = HOUSE / "hookspecs" / "apflow_hookspecs"
PLUGINS = sorted(folder for folder in (HOUSE / "plugins").iterdir() if (folder / "pyproject.toml").is_file())

LONGEST_MODULE = 400
# Plugins that build on another one, each of which says so in its dependencies.
BUILDS_ON = {"apflow-auth": {"apflow_server"}, "apflow-http": {"apflow_guard"}, "apflow-ratelimit": {"apflow_server"}}


def package_of(plugin: Path) -> Path:
    return plugin / plugin.name.replace("-", "_")


def project_of(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


def modules(package: Path) -> Iterator[Path]:
    return (path for path in sorted(package.rglob("*.py")) if "tests" not in path.relative_to(package).parts)


def imported(module: Path) -> set[str]:
    """The top-level names that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text(), str(module))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def imported_by(package: Path) -> dict[str, set[str]]:
    """Module (from the top of the repository) → what it imports, without the standard library."""
    return {str(path.relative_to(HOUSE)): imported(path) - sys.stdlib_module_names for path in modules(package)}


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name == "apflow" or name.startswith("apflow_")}


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=HOUSE, capture_output=True, check=True).stdout
    return [path for name in listing.decode().split("\0") if name and (path := HOUSE / name).is_file()]


each_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=lambda folder: folder.name)


def test_there_are_plugins():
    assert {"apflow-aggregate", "apflow-sqlite", "apflow-stdio"} <= {plugin.name for plugin in PLUGINS}


@each_plugin
def test_a_plugin_imports_the_contract_and_never_the_host(plugin):
    allowed = {"apflow_hookspecs", package_of(plugin).name} | BUILDS_ON.get(plugin.name, set())
    crossing = {module: ours(names) - allowed for module, names in imported_by(package_of(plugin)).items()}
    assert not {module: names for module, names in crossing.items() if names}


def test_the_host_imports_no_plugin():
    crossing = {module: ours(names) - {"apflow", "apflow_hookspecs"} for module, names in imported_by(HOST).items()}
    assert not {module: names for module, names in crossing.items() if names}


def test_the_contract_imports_pluggy_attrs_and_the_standard_library_only():
    allowed = {"apflow_hookspecs", "attrs", "pluggy"}
    crossing = {module: names - allowed for module, names in imported_by(CONTRACT).items()}
    assert not {module: names for module, names in crossing.items() if names}


@pytest.mark.parametrize("package", [HOST, CONTRACT, *map(package_of, PLUGINS)], ids=lambda folder: folder.name)
def test_data_is_json_and_never_becomes_code(package):
    formats = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "yaml"}
    crossing = {str(module.relative_to(HOUSE)): imported(module) & formats for module in modules(package)}
    assert not {module: names for module, names in crossing.items() if names}


@each_plugin
def test_the_top_of_a_plugin_loads_nothing_heavy(plugin):
    package = package_of(plugin).name
    program = f"import sys, apflow_hookspecs; before = set(sys.modules); import {package}; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names == {package}


@pytest.mark.parametrize("package", [HOST, CONTRACT], ids=lambda folder: folder.name)
def test_no_module_is_too_long(package):
    lengths = {str(path.relative_to(HOUSE)): len(path.read_text().splitlines()) for path in modules(package)}
    assert not {module: lines for module, lines in lengths.items() if lines > LONGEST_MODULE}


@each_plugin
def test_every_plugin_folder_has_the_same_shape(plugin):
    package = package_of(plugin)
    expected = {plugin / "README.md", package / "__init__.py", package / "py.typed"}
    assert not {str(path.relative_to(HOUSE)) for path in expected if not path.is_file()}
    assert list((plugin / "tests").glob("test_*.py")), f"{plugin.name} has no tests"
    assert (plugin / "README.md").read_text().startswith(f"# {plugin.name}\n")


@each_plugin
def test_every_plugin_says_who_it_is_and_what_it_needs(plugin):
    project = project_of(plugin)
    assert project["name"] == plugin.name
    assert project["version"] == project_of(HOUSE)["version"]
    (entry_point,) = project["entry-points"]["apflow"].values()
    assert entry_point.partition(":")[0] == package_of(plugin).name
    needs = {re.split(r"[<>=~!;\[ ]", requirement)[0] for requirement in project["dependencies"]}
    assert "apflow-hookspecs" in needs
    assert "apflow" not in needs


@pytest.mark.parametrize("folder", [HOUSE, HOUSE / "hookspecs", *PLUGINS], ids=lambda folder: folder.name)
def test_every_dependency_has_a_floor_and_an_upper_bound(folder):
    loose = [text for text in project_of(folder)["dependencies"] if not (">=" in text and "<" in text)]
    assert not loose


def test_the_base_install_has_at_most_ten_direct_dependencies():
    assert len(project_of(HOUSE)["dependencies"]) <= 10


def test_a_group_of_tools_never_asks_an_index_for_a_distribution_of_this_repository():
    groups = tomllib.loads((HOUSE / "pyproject.toml").read_text())["dependency-groups"]
    asking = {name: entry for name, entries in groups.items() for entry in entries if str(entry).startswith("apflow")}
    assert asking == {"dev": "apflow[all]"}


def test_apflow_is_the_one_of_this_repository():
    found = distribution("apflow")
    assert found.version == project_of(HOUSE)["version"] == "1.0.0.dev1"
    assert f'"{HOUSE.as_uri()}"' in (found.read_text("direct_url.json") or "")
    assert Path(apflow.__file__) in {HOST / "__init__.py", Path(str(found.locate_file("apflow/__init__.py")))}


def test_no_address_of_a_package_registry_is_committed():
    address = re.compile(rb"(pypi|pythonhosted)[.]org|registry[.]npmjs")
    assert not [str(path.relative_to(HOUSE)) for path in tracked_files() if address.search(path.read_bytes())]


def test_no_lock_file_is_committed():
    assert not [path for path in tracked_files() if path.name in {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"}]


def test_what_is_pinned_is_pinned_exactly():
    lines = (HOUSE / "constraints" / "default.txt").read_text().splitlines()
    assert lines
    assert not [line for line in lines if not re.match(r"[a-z0-9._-]+(\[[a-z0-9,-]+\])?==[^ ]+( ; .+)?$", line)]


def test_no_distribution_of_this_repository_is_pinned():
    lines = (HOUSE / "constraints" / "default.txt").read_text().splitlines()
    assert not [line for line in lines if line.startswith("apflow")]
