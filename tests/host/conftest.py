import importlib
import sys
from importlib.metadata import distributions
from textwrap import dedent

import pytest

from apflow.host import Host


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed distributions, on the path."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def install(site):
    """Installs a plugin as an installer does: a module, and a dist-info with metadata and entry points."""

    def install(name, code, *, version="1.0", distribution=None, target=None):
        distribution = distribution or f"apflow-{name}"
        module = f"{distribution.replace('-', '_')}_{name}"
        (site / f"{module}.py").write_text(f"from apflow_hookspecs import *\n{dedent(code)}")
        info = site / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[apflow]\n{name} = {target or module}\n")
        importlib.invalidate_caches()
        return module

    return install


@pytest.fixture
def discover(site):
    """A host of what was installed by the test, and of nothing else."""

    def discover(*args, **options):
        points = [point for dist in distributions(path=[str(site)]) for point in dist.entry_points]
        return Host.discover(*args, entry_points=points, **options)

    return discover


@pytest.fixture
def states(discover):
    """State and reason of each plugin, by name."""

    def states(*args, **options):
        return {plugin.name: (str(plugin.state), plugin.reason) for plugin in discover(*args, **options).plugins}

    return states


GREET = """
@executor("{id}")
async def greet(name: str) -> str:
    return f"Hello {{name}}"

@hookimpl
def apflow_executors():
    yield greet
"""


@pytest.fixture
def greeter(install):
    """Installs a plugin with one executor."""

    def greeter(name="hello", id="greet", **options):
        return install(name, GREET.format(id=id), **options)

    return greeter
