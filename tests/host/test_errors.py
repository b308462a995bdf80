import pytest

from apflow_hookspecs import Problem, TaskFailed
from apflow_hookspecs.errors import ApflowError, InvalidTask


class Declined(ApflowError):
    """The card was declined,
    as cards are. Ask for another.

    Args:
        card: Of the customer.
    """


class Bare(ApflowError):
    pass


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (TaskFailed, "The attempt failed."),
        (Declined, "The card was declined, as cards are."),
        (Bare, "Bare"),
        (InvalidTask, "A task does not fit its fields' rules."),
    ],
)
def test_an_error_without_a_message_says_the_first_sentence_of_its_class(error, message):
    assert str(error()) == error().message == message


def test_a_message_or_a_problem_goes_before_the_sentence():
    assert str(TaskFailed("too thin")) == "too thin"
    assert str(InvalidTask(problems=(Problem("must be small"),))) == "must be small"


@pytest.mark.parametrize("severity", ["error", "warning"])
def test_a_problem_is_an_error_or_a_warning(severity):
    assert Problem("no", severity=severity).severity == severity


@pytest.mark.parametrize("severity", ["fatal", "Error", None, []])
def test_a_problem_of_another_severity_is_refused(severity):
    with pytest.raises(ValueError, match=r"severity = .*: must be one of 'error', 'warning'") as refused:
        Problem("no", severity=severity)
    assert repr(severity) in str(refused.value)
