from apflow.cli.tables import fields, nested, outline, table
from apflow.cli.text import columns


def test_a_table_is_aligned_by_the_width_on_a_terminal():
    lines = list(table(("name", "status"), [("日本", "done"), ("abc", None), ("e\u0301x", "failed")]))
    assert lines == ["NAME  STATUS", "日本  done", "abc", "e\u0301x    failed"]


def test_a_table_escapes_its_cells_and_cuts_those_between_the_first_and_the_last():
    header, row = table(("id", "name", "why"), [("i" * 80, "\x1b[2J" + "n" * 80, "w" * 80)])
    assert row.startswith("i" * 80 + r"  \x1b[2J")
    assert row.endswith("…  " + "w" * 80)
    assert columns(row) == 80 + 2 + 60 + 2 + 80
    assert header.index("NAME") == 82


def test_fields_are_aligned_and_leave_out_what_is_not_there():
    assert list(fields({"id": "a", "status": "x\ny", "error": None})) == ["id      a", r"status  x\ny"]


def test_an_outline_draws_the_branches_of_every_level():
    tree = {"name": "root", "children": [{"name": "a", "children": [{"name": "a1"}, {"name": "a2"}]}, {"name": "b"}]}
    assert [branch + task["name"] for branch, task in outline(tree)] == ["root", "├── a", "│   ├── a1", "│   └── a2", "└── b"]


def test_an_outline_may_be_deeper_than_the_stack():
    tree = {"name": "0"}
    for n in range(3000):
        tree = {"name": str(n), "children": [tree]}
    assert sum(1 for _ in outline(tree)) == 3001


def test_flat_tasks_are_nested_under_their_root():
    tree = nested([{"id": "r", "parent_id": None}, {"id": "c", "parent_id": "b"}, {"id": "b", "parent_id": "r"}])
    assert [(branch, task["id"]) for branch, task in outline(tree)] == [("", "r"), ("└── ", "b"), ("    └── ", "c")]
