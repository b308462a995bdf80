from __future__ import annotations

import pytest
from samples import Recorder


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture(params=["memory", "sqlite"])
def place(request, tmp_path):
    """Options of an engine whose storage is in memory, or in a file."""
    if request.param == "memory":
        return {"url": "memory:"}
    import apflow_sqlite

    return {"url": f"sqlite:///{tmp_path / 'flow.db'}", "plugins": {"sqlite": apflow_sqlite}}
