import io

import pytest

from apflow.cli.reading import UnreadableFile, read_tasks


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "tasks.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.mark.parametrize("text", ['[{"id": "a"}]', '{"tasks": [{"id": "a"}]}', '{"id": "a"}', '\ufeff[{"id": "a"}]'])
def test_an_array_an_object_of_tasks_and_a_single_task_are_read(file, text):
    assert read_tasks(file(text)) == [{"id": "a"}]


def test_standard_input_is_read_for_a_dash(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'[{"id": "a"}]')))
    assert read_tasks("-") == [{"id": "a"}]


def test_an_empty_array_is_left_to_the_checks_of_the_tree(file):
    assert read_tasks(file("[]")) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"id": "a"},\n {"id" "b"}]', "line 2, column 8: not JSON: Expecting ':' delimiter"),
        ("", "line 1, column 1: not JSON: Expecting value"),
        ('[{"id": "a", "inputs": {"x": 1, "y": 2, "x": 3}}]', "the key 'x' stands twice in one object"),
        ("9" * 5000, "integer string conversion"),
        ("[" * 100_000, "nested too deep"),
        (b'["ok",\n"\xff"]', "line 2: not UTF-8 text (byte 0xff)"),
        ('"text"', "must hold an array of tasks, and holds 'text'"),
        ('{"tasks": 5}', "must hold an array of tasks, and holds {'tasks': 5}"),
    ],
)
def test_what_is_not_json_is_refused_with_the_place(file, text, said):
    with pytest.raises(UnreadableFile) as refused:
        read_tasks(file(text))
    assert "tasks.json" in str(refused.value)
    assert said in str(refused.value)


def test_a_missing_file_a_folder_and_an_impossible_name_are_refused_by_name(tmp_path):
    with pytest.raises(UnreadableFile, match=r"gone\.json: there is no such file"):
        read_tasks(str(tmp_path / "gone.json"))
    with pytest.raises(UnreadableFile, match="is a folder, not a file"):
        read_tasks(str(tmp_path))
    with pytest.raises(UnreadableFile, match="cannot be read: embedded null byte"):
        read_tasks("a\x00b")
