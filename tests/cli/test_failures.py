import logging

import click
import pytest

from apflow.cli.failures import Interrupted, exit_code, show_records, told, warnings_shown
from apflow_hookspecs.errors import (
    ApflowError,
    ConfigError,
    InvalidTask,
    NotFound,
    PluginConflict,
    Problem,
    StorageOwned,
    StorageUnavailable,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidTask("no"), 2),
        (NotFound(), 2),
        (ConfigError("no"), 2),
        (PluginConflict("no"), 2),
        (click.UsageError("no"), 2),
        (StorageUnavailable(), 3),
        (StorageOwned(), 4),
        (ApflowError(), 70),
        (ZeroDivisionError(), 70),
        (Interrupted(), 130),
        (click.Abort(), 130),
    ],
)
def test_every_error_has_its_exit_code(error, code):
    assert exit_code(error) == code


def test_every_problem_gets_a_line_that_names_task_field_value_and_rule():
    error = InvalidTask(
        problems=(Problem("must be a string", task="a", field="name", value=5), Problem("is missing", task="b"))
    )
    assert list(told(error)) == ["task 'a', name = 5: must be a string", "task 'b': is missing"]


def test_a_message_of_its_own_stands_before_the_problems():
    error = InvalidTask("two things are wrong", problems=(Problem("one"), Problem("other")))
    assert list(told(error)) == ["two things are wrong", "one", "other"]


def test_twenty_problems_are_listed_and_the_others_counted():
    lines = list(told(InvalidTask(problems=tuple(Problem(f"rule {n}") for n in range(25)))))
    assert lines == [*(f"rule {n}" for n in range(20)), "and 5 more problems"]


def test_an_error_cannot_write_control_characters():
    assert list(told(InvalidTask("a\n\x1b[2J"))) == [r"a\n\x1b[2J"]


def test_an_unexpected_error_is_told_in_one_line_with_its_type():
    assert list(told(ValueError("a\nb"))) == [r"unexpected ValueError: a\nb (--debug shows where)"]


def test_a_logged_exception_is_one_line_without_traceback(capsys):
    log = logging.getLogger("apflow.somewhere")
    with warnings_shown():
        log.error("the plugin %s failed", "\x1b[2J", exc_info=ValueError("a\nb"))
        log.info("not for people")
    assert capsys.readouterr().err == "error: the plugin \\x1b[2J failed: ValueError: a\\nb\n"


def test_debugging_shows_our_records_of_every_level_and_tracebacks(capsys):
    with warnings_shown():
        show_records("debug")
        logging.getLogger("apflow.somewhere").debug("so far", exc_info=ValueError("no"))
        logging.getLogger("another.library").debug("not ours")
    logging.getLogger("apflow.somewhere").debug("no more")
    assert capsys.readouterr().err == "debug: so far\nValueError: no\n"
    assert not logging.getLogger().handlers or all(
        "_StandardError" not in type(h).__name__ for h in logging.getLogger().handlers
    )
