"""What is logged, on standard error: harmless lines, for people or for machines."""

import json
import logging

import pytest

from apflow.logs import JsonLines, OneLine

HARMFUL = (
    '\n{"level": "info", "message": "forged"}',
    "\x1b[2J\x1b]52;c;YQ==\x07\x1b]8;;http://x\x07",
    "\u2028\u2029\u202e\x9b31m\r",
    "\ud800 %s %d {0}",
    "x" * 10_000_000,
)
TALKER = """
from apflow_hookspecs import TaskContext, executor, hookimpl


@executor("talk")
async def talk(said: str, context: TaskContext) -> None:
    context.log.info(said, extra={"said": said, "number": float("nan")})
    context.log.warning("it was %s", said)


@hookimpl
def apflow_executors():
    yield talk
"""


def record_of(message, *arguments, error=None, **extra):
    record = logging.getLogger("apflow.x").makeRecord(
        "apflow.x", logging.WARNING, "f.py", 1, message, arguments, error and (type(error), error, None), extra=extra
    )
    record.created = 1_900_000_000.25
    return record


@pytest.mark.parametrize("harmful", HARMFUL, ids=range(len(HARMFUL)))
def test_a_record_is_one_line_of_printable_text_however_it_is_shown(harmful):
    record = record_of("it was %s", harmful, error=ValueError(harmful), task_key=harmful, deep=[{"a": harmful}])
    for formatter in (OneLine(), JsonLines()):
        line = formatter.format(record)
        assert line.isprintable()
        assert len(line) < 6 * 4 * 5000
    fields = json.loads(JsonLines().format(record))
    assert fields["message"].startswith("it was ")
    assert all(len(str(value)) < 4200 for value in fields.values())


def test_json_lines_have_the_record_its_extra_fields_and_its_exception():
    error = ValueError("no")
    line = JsonLines().format(record_of("it was %s", "tea", error=error, task_id="t", n=7, ok=True, deep={"a": [1.5, None]}))
    assert json.loads(line) == {
        "time": "2030-03-17T17:46:40.250000Z", "level": "warning", "logger": "apflow.x", "message": "it was tea",
        "task_id": "t", "n": 7, "ok": True, "deep": {"a": [1.5, None]},
        "exception": "ValueError: no", "traceback": "ValueError: no",
    }  # fmt: skip


def test_extra_fields_that_are_not_json_are_told_all_the_same():
    cycle = []
    cycle.append(cycle)
    fields = json.loads(
        JsonLines().format(record_of("x", cycle=cycle, nan=float("nan"), what=object, level="own", many=[1] * 5000))
    )
    assert (fields["cycle"], fields["nan"], fields["level"]) == ("[[...]]", "nan", "warning")
    assert "class 'object'" in fields["what"]
    assert fields["many"].endswith("more characters)")


def test_a_traceback_that_came_as_text_is_told(caplog):
    record = record_of("x")
    record.exc_text = "Traceback (most recent call last):\n  File ...\nValueError: ***"
    assert OneLine().format(record) == "warning: x: ValueError: ***"
    assert json.loads(JsonLines().format(record))["exception"] == "ValueError: ***"


def test_the_program_logs_as_it_is_configured(apflow, tmp_path):
    from programs import install

    install(apflow.plugins, "talker", talker=TALKER)
    tasks = apflow.file([{"id": "t", "executor": "talk", "inputs": {"said": HARMFUL[0]}}])

    plain = apflow("run", tasks)
    assert "warning: it was \\n{" in plain.err
    assert "info:" not in plain.err

    done = apflow("run", tasks, APFLOW_LOG_LEVEL="info", APFLOW_LOG_FORMAT="json")
    lines = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
    assert [(line["level"], line["task_key"], line["attempt"]) for line in lines] == [("info", "t", 1), ("warning", "t", 1)]
    assert lines[0]["said"] == HARMFUL[0]
    assert done.code == plain.code == 0


def test_an_unknown_level_is_refused_with_those_that_there_are(apflow):
    done = apflow("tasks", "list", APFLOW_LOG_LEVEL="loud")
    assert done.code == 2
    assert "log_level = 'loud': must be debug, info, warning or error (from APFLOW_LOG_LEVEL)" in done.err


def test_a_traceback_is_shown_in_lines_of_its_own_where_that_is_asked_for():
    record = record_of("x", error=ValueError("a\nb\x1b[2J"))
    assert OneLine().format(record) == r"warning: x: ValueError: a\nb\x1b[2J"
    assert OneLine(tracebacks=True).format(record).splitlines() == ["warning: x", "ValueError: a", r"b\x1b[2J"]
