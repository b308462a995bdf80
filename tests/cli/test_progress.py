"""How far groups are, as other terminals see it while their tree runs."""

from __future__ import annotations

import subprocess
from contextlib import closing

from programs import Running

TREE = [
    {"id": "all"},
    {"id": "part", "parent_id": "all"},
    {"id": "done", "parent_id": "part", "executor": "echo"},
    {"id": "hangs", "parent_id": "part", "executor": "hang", "inputs": {"started": "here"}, "dependencies": ["done"]},
    {"id": "later", "parent_id": "all", "executor": "echo", "dependencies": ["hangs"]},
    {"id": "last", "parent_id": "all", "executor": "echo", "dependencies": ["hangs"]},
]


def test_groups_in_progress_are_shown_with_how_far_they_are(apflow):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with closing(Running(apflow.start("run", apflow.file(TREE), "--keep-ids", **options))) as running:
        running.until("hangs started")
        drawn = apflow("tasks", "tree", "all").out.splitlines()
        shown = dict(line.split(maxsplit=1) for line in apflow("tasks", "get", "part").out.splitlines())
        assert apflow("tasks", "cancel", "all").code == 0
        assert running.finish().code == 1
    assert drawn == [
        "all  in_progress, 25%",
        "├── part  in_progress, 50%",
        "│   ├── done  completed",
        "│   └── hangs  in_progress",
        "├── later  pending",
        "└── last  pending",
    ]
    assert (shown["status"], shown["progress"]) == ("in_progress", "50%")
    assert apflow("tasks", "tree", "part").out.splitlines()[0] == "part  cancelled"
