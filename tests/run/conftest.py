from __future__ import annotations

import pytest
from samples import Recorder


@pytest.fixture
def recorder():
    return Recorder()
