import pytest

from apflow.config import load_settings


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working directory and a home without any configuration."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for variable in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "APPDATA", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    return work


@pytest.fixture
def load():
    """Loads from what is given alone; `shelf` and `my-plugin` are the plugins that are there."""

    def load(file=None, env=None, **options):
        return load_settings(file, env or {}, options, plugins=["shelf", "my_plugin"])

    return load
