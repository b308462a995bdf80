import sys

import pytest

ROOT = {"id": "root"}


def job(id=None, parent="root", **fields):
    """A working task; under `root`, where nothing else is said."""
    task = {"executor": "noop", "parent_id": parent, **fields}
    return task if id is None else {"id": id, **task}


@pytest.fixture
def steps():
    """Counts the lines of Python that a call executes: a measure of work that no busy machine disturbs."""

    def steps(function, *args, **kwargs):
        count = 0

        def trace(frame, event, arg):
            nonlocal count
            count += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            function(*args, **kwargs)
        finally:
            sys.settrace(before)
        return count

    return steps
