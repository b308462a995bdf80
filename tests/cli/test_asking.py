"""What tasks wait for is asked where a person can answer, and elsewhere told with what to do."""

from __future__ import annotations

import re
import signal

import pytest

from apflow.cli.questions import Question, wanted

CTRL_D = "\x04"
ASKED = "answer (Ctrl-D leaves it open): "


def approval(key="gate", prompt="Release 2.1?", **fields):
    inputs = {"prompt": prompt, **fields.pop("inputs", {})}
    return {"id": key, "parent_id": "all", "executor": "approval_executor", "inputs": inputs, **fields}


def number(key, prompt):
    return approval(key, prompt, inputs={"schema": {"type": "integer"}})


def held(program, key="other", **fields):
    """A task that ends once `release` is there, and then leaves a file of its name."""
    script = f"while [ ! -e release ]; do sleep 0.02; done; touch {key}"
    inputs = {"command": ["sh", "-c", script], "cwd": str(program.folder)}
    return {"id": key, "parent_id": "all", "executor": "command_executor", "inputs": inputs, **fields}


def tree(*tasks):
    return [{"id": "all"}, *tasks]


def status(apflow, task_id):
    return apflow("tasks", "get", task_id, "--json").json["status"]


ADVICE = [
    "gate waits for an answer: Release 2.1? (approve or reject)",
    "  `apflow tasks answer gate VALUE` answers it, and `apflow resume all` goes on",
]


@pytest.fixture
def waiting(apflow):
    """A tree in the storage that waits for an answer, and that nobody runs."""
    after = {"id": "after", "parent_id": "all", "executor": "echo", "dependencies": ["gate"]}
    assert apflow("run", "--keep-ids", apflow.file(tree(approval(), after))).code == 5


def test_a_run_asks_on_the_terminal_until_the_answer_is_right_and_goes_on(apflow, on_terminal):
    details = {"details": {"version": "2.1\x1b[2J"}, "deadline": 3600}
    terminal = on_terminal("run", "--keep-ids", apflow.file(tree(approval(inputs=details))))
    terminal.until(ASKED)
    terminal.type("maybe\n")
    terminal.until(ASKED, 2)
    terminal.type("\n")
    terminal.until(ASKED, 3)
    terminal.type(" approve \n")
    shown = terminal.rest()
    assert terminal.process.returncode == 0
    assert 'gate asks: Release 2.1?\r\n  {\r\n    "version": "2.1\\u001b[2J"\r\n  }\r\n  approve or reject; until 2' in shown
    assert "task 'gate', answer = 'maybe': must be one of 'approve', 'reject'\r\n" in shown
    assert "completed: 2 tasks, 2 completed" in shown
    assert apflow("tasks", "get", "gate", "--json").json["result"] == {"answer": "approve", "approved": True}


def test_a_question_that_is_left_open_ends_the_run_once_nothing_else_is_left(apflow, on_terminal):
    terminal = on_terminal("run", "--keep-ids", apflow.file(tree(approval(), held(apflow))))
    terminal.until(ASKED)
    terminal.type(CTRL_D)
    terminal.until("left open")
    assert terminal.process.poll() is None
    (apflow.folder / "release").touch()
    shown = terminal.rest()
    assert terminal.process.returncode == 5
    assert shown.endswith("".join(f"{line}\r\n" for line in ADVICE))
    assert (status(apflow, "gate"), status(apflow, "other")) == ("waiting", "completed")


def test_several_questions_are_asked_one_after_the_other(apflow, on_terminal):
    terminal = on_terminal("run", "--keep-ids", apflow.file(tree(number("a", "How many?"), number("b", "How often?"))))
    terminal.until(ASKED)
    first, second = ("a", "b") if "a asks" in terminal.shown else ("b", "a")
    terminal.type("1\n")
    terminal.until(f"{second} asks")
    terminal.until(ASKED, 2)
    terminal.type("2\n")
    assert "completed: 3 tasks, 3 completed" in terminal.rest()
    answers = [apflow("tasks", "get", key, "--json").json["result"]["answer"] for key in (first, second)]
    assert answers == [1, 2]


@pytest.mark.parametrize("kind", ["xterm-256color", "dumb"])
def test_other_tasks_go_on_while_it_asks_and_show_it_afterwards(apflow, on_terminal, seen, kind):
    terminal = on_terminal("run", apflow.file(tree(approval(), held(apflow))), TERM=kind)
    terminal.until(ASKED)
    (apflow.folder / "release").touch()
    seen((apflow.folder / "other").exists)
    terminal.type("approve\n")
    shown = terminal.rest()
    assert terminal.process.returncode == 0
    asked, _, afterwards = shown.partition(ASKED)
    assert asked.rstrip().endswith("approve or reject")
    assert afterwards.startswith("approve\r\n")
    if kind == "dumb":
        assert "other completed" in afterwards


def test_ctrl_d_leaves_a_question_open_also_behind_what_was_typed(apflow, on_terminal):
    terminal = on_terminal("run", "--keep-ids", apflow.file(tree(approval())))
    terminal.until(ASKED)
    terminal.type(f"reject{CTRL_D}")
    assert "left open" in terminal.rest()
    assert terminal.process.returncode == 5
    assert status(apflow, "gate") == "waiting"


def test_an_answer_that_was_half_typed_to_a_withdrawn_question_answers_no_other(apflow, on_terminal):
    second = approval("second", "And this?", inputs={"schema": {"type": "string"}})
    terminal = on_terminal("run", "--keep-ids", apflow.file(tree(approval(), second)))
    terminal.until(ASKED)
    terminal.type("appro")
    assert apflow("tasks", "answer", "gate", "reject").code == 0
    terminal.until("Enter shows the next question: ")
    terminal.type("ve\n")
    terminal.until("And this?")
    terminal.until(ASKED, 2)
    assert status(apflow, "second") == "waiting"
    terminal.type("yes\n")
    terminal.rest()
    assert apflow("tasks", "get", "second", "--json").json["result"]["answer"] == "yes"


def test_what_was_typed_before_it_asks_is_no_answer(apflow, on_terminal):
    terminal = on_terminal("run", apflow.file(tree(approval(dependencies=["other"]), held(apflow))))
    terminal.until("other")
    terminal.type("approve\n")
    (apflow.folder / "release").touch()
    terminal.until(ASKED)
    terminal.type(CTRL_D)
    terminal.rest()
    assert terminal.process.returncode == 5


def test_an_interrupted_question_is_left_to_another_process(apflow, on_terminal):
    terminal = on_terminal("run", "--keep-ids", apflow.file(tree(approval())))
    terminal.until(ASKED)
    terminal.process.send_signal(signal.SIGINT)
    shown = terminal.rest()
    assert terminal.process.returncode == 130
    assert shown.endswith(" interrupted\r\n")
    assert "`apflow resume all` goes on with it" in shown
    assert status(apflow, "gate") == "waiting"
    again = on_terminal("resume")
    again.until(ASKED)
    again.type("approve\n")
    assert "completed: 2 tasks" in again.rest()


def test_a_second_signal_ends_a_question_at_once(apflow, on_terminal):
    terminal = on_terminal("run", "--keep-ids", apflow.file(tree(approval(), held(apflow))), APFLOW_DRAIN_TIMEOUT="3600")
    terminal.until(ASKED)
    terminal.process.send_signal(signal.SIGTERM)
    terminal.until("once more ends it at once")
    terminal.process.send_signal(signal.SIGTERM)
    terminal.rest()
    assert terminal.process.returncode == 130


def test_a_question_that_somebody_else_answers_is_withdrawn(apflow, on_terminal):
    terminal = on_terminal("run", "--keep-ids", apflow.file(tree(approval())))
    terminal.until(ASKED)
    done = apflow("tasks", "answer", "gate", "approve")
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"answered: gate is \w+\n", done.out)
    shown = terminal.rest()
    assert terminal.process.returncode == 0
    assert "it is not asked any more" in shown


def test_a_question_whose_deadline_passes_is_withdrawn(apflow, on_terminal):
    terminal = on_terminal("run", apflow.file(tree(approval(inputs={"deadline": 0.5}))))
    terminal.until(ASKED)
    shown = terminal.rest()
    assert terminal.process.returncode == 1
    assert "it is not asked any more" in shown
    assert "gate failed: nobody answered in time (timeout)" in shown


@pytest.mark.parametrize("command", [("run", "--keep-ids"), ("tasks", "create", "--execute")])
def test_without_a_terminal_a_run_ends_at_a_question_and_says_what_to_do(apflow, command):
    done = apflow(*command, apflow.file(tree(approval())))
    assert (done.code, done.err.splitlines()) == (5, ADVICE)
    assert re.search(r"^waiting: 2 tasks, 1 in progress, 1 waiting", done.out, re.MULTILINE)
    assert status(apflow, "gate") == "waiting"


def test_whoever_goes_on_with_a_tree_that_waits_ends_likewise(apflow, waiting):
    resumed = apflow("resume")
    assert (resumed.code, resumed.err.splitlines()) == (5, ADVICE)
    copied = apflow("tasks", "copy", "all", "--children", "--execute")
    assert copied.code == 5
    assert "waits for an answer: Release 2.1? (approve or reject)" in copied.err
    assert apflow("tasks", "create", apflow.file([{**approval("only"), "parent_id": None}])).code == 0
    assert apflow("tasks", "execute", "only").code == 5


def test_json_is_the_tree_as_it_waits_also_on_a_terminal(apflow, on_terminal, waiting):
    file = apflow.file(tree(approval()))
    done = apflow("run", file, "--json")
    assert (done.code, done.json["status"], len(done.err.splitlines())) == (5, "waiting", 2)
    assert done.json["tasks"][1]["wait"]["prompt"] == "Release 2.1?"
    resumed = apflow("resume", "all", "--json")
    assert (resumed.code, resumed.json["trees"][0]["status"]) == (5, "waiting")
    terminal = on_terminal("run", file, "--json")
    assert terminal.rest().startswith("{\r\n")
    assert terminal.process.returncode == 5


def test_while_a_timer_is_left_it_goes_on_waiting(apflow):
    nap = {"id": "nap", "parent_id": "all", "executor": "sleep_executor", "inputs": {"seconds": 0.5}}
    after = {"id": "after", "parent_id": "all", "executor": "echo", "dependencies": ["nap"]}
    done = apflow("run", "--json", apflow.file(tree(approval(), nap, after)))
    assert done.code == 5
    assert {task["key"]: task["status"] for task in done.json["tasks"]} == {
        "all": "in_progress",
        "gate": "waiting",
        "nap": "completed",
        "after": "completed",
    }


def test_of_several_trees_one_that_waits_decides_the_exit_code(apflow, waiting):
    failing = [{"id": "broken"}, {"id": "bad", "parent_id": "broken", "executor": "fail", "inputs": {"message": "no"}}]
    failing += [approval("late", "Sure?", inputs={"choices": ["yes", "no"]}, parent_id="broken")]
    apflow("run", "--keep-ids", apflow.file(failing))
    apflow("tasks", "answer", "late", "yes")
    done = apflow("resume")
    assert (done.code, done.err.splitlines()) == (5, ADVICE)
    assert "failed: 3 tasks, 1 completed, 2 failed" in done.out


@pytest.fixture
def owner(apflow, in_background):
    """A run in another process, which owns the storage until `release` is there."""
    task = {**held(apflow, "held"), "parent_id": "owned"}
    running = in_background("run", "--keep-ids", apflow.file([{"id": "owned"}, task], "owned.json"))
    running.until("held started")
    return running


def test_through_the_owner_of_the_storage_it_is_the_same(apflow, owner, on_terminal):
    file = apflow.file(tree(approval()))
    done = apflow("run", "--keep-ids", file)
    assert (done.code, done.err.splitlines()) == (5, ADVICE)
    followed = apflow("resume", "all")
    assert followed.code == 5
    assert followed.err.splitlines()[1:] == ADVICE
    terminal = on_terminal("run", file)
    terminal.until(ASKED)
    terminal.type("no\n")
    terminal.until(ASKED, 2)
    terminal.type("reject\n")
    shown = terminal.rest()
    assert terminal.process.returncode == 1
    assert "must be one of 'approve', 'reject'" in shown
    assert "gate failed: rejected (denied)" in shown
    (apflow.folder / "release").touch()
    ended = owner.finish()
    assert (ended.code, ended.err) == (0, "")  # what only waits is waited for by nobody
    assert status(apflow, "gate") == "waiting"


def test_when_the_owner_goes_away_whoever_asks_takes_its_place(apflow, owner, on_terminal):
    terminal = on_terminal("run", "--keep-ids", apflow.file(tree(approval())))
    terminal.until(ASKED)
    owner.send(signal.SIGKILL)
    owner.finish()
    terminal.until("this one goes on")
    terminal.until(ASKED, 2)
    terminal.type("approve\n")
    assert "completed: 2 tasks" in terminal.rest()


def test_an_interrupted_question_of_a_tree_elsewhere_cancels_that_tree(apflow, owner, on_terminal):
    terminal = on_terminal("run", "--keep-ids", apflow.file(tree(approval())))
    terminal.until(ASKED)
    terminal.process.send_signal(signal.SIGINT)
    terminal.rest()
    assert terminal.process.returncode == 130
    assert status(apflow, "gate") == "cancelled"


def test_an_answer_is_stored_and_says_how_to_go_on(apflow, waiting):
    wrong = apflow("tasks", "answer", "gate", "maybe")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err == "error: task 'gate', answer = 'maybe': must be one of 'approve', 'reject'\n"
    done = apflow("tasks", "answer", "gate", "approve")
    assert (done.code, done.out, done.err) == (0, "answered: gate is pending\n`apflow resume all` goes on with it\n", "")
    assert apflow("resume").code == 0
    again = apflow("tasks", "answer", "gate", "approve")
    assert (again.code, again.err) == (2, "error: task 'gate' is completed, and does not wait for an answer\n")


def test_an_answer_that_comes_too_late_is_refused(apflow):
    assert apflow("run", "--keep-ids", apflow.file(tree(approval(inputs={"deadline": 0.01})))).code in (1, 5)
    late = apflow("tasks", "answer", "gate", "approve")
    assert (late.code, late.out) == (2, "")
    assert "task 'gate' had to be answered until 20" in late.err or "task 'gate' is failed, and does not wait" in late.err


def test_an_answer_as_json_is_the_task(apflow, waiting):
    done = apflow("tasks", "answer", "gate", "approve", "--json")
    assert (done.code, done.err) == (0, "")
    assert (done.json["id"], done.json["status"], done.json["wait"]["answer"]) == ("gate", "pending", "approve")


def test_without_a_value_the_answer_is_asked_on_the_terminal(apflow, waiting, on_terminal):
    left = on_terminal("tasks", "answer", "gate")
    left.until(ASKED)
    left.type(CTRL_D)
    assert left.rest().endswith("left open\r\n")
    assert left.process.returncode == 0
    terminal = on_terminal("tasks", "answer", "gate")
    terminal.until(ASKED)
    terminal.type("maybe\n")
    terminal.until(ASKED, 2)
    terminal.type("reject\n")
    shown = terminal.rest()
    assert (terminal.process.returncode, status(apflow, "gate")) == (0, "pending")
    assert "must be one of 'approve', 'reject'" in shown
    assert shown.endswith("`apflow resume all` goes on with it\r\n")
    assert apflow("tasks", "answer", "gate").err == "error: task 'gate' is pending, and does not wait for an answer\n"


def test_without_a_value_and_a_terminal_it_says_how(apflow, waiting, on_terminal):
    done = apflow("tasks", "answer", "gate", stdin="approve\n")
    assert done.code == 2
    assert "give the answer (approve or reject): apflow tasks answer gate VALUE" in done.err
    assert on_terminal("tasks", "answer", "gate", "--json").rest().endswith("apflow tasks answer gate VALUE\r\n")
    assert status(apflow, "gate") == "waiting"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (None, "any text, or JSON"),
        ({}, "any text, or JSON"),
        ({"enum": ["approve", "re\x1b[2Jject"]}, r"approve or re\x1b[2Jject"),
        ({"enum": [1, None, "x"]}, "1 or null or x"),
        ({"type": "boolean", "title": "Sure"}, "yes or no"),
        ({"type": "integer", "minimum": 1}, 'a whole number that fits {"minimum":1}'),
        ({"type": "object"}, "an object in JSON"),
        ({"type": ["string", "null"]}, "JSON"),
        ({"minimum": 1}, 'JSON that fits {"minimum":1}'),
        ({"type": ["string", "null"], "maxLength": 3}, 'JSON that fits {"maxLength":3}'),
    ],
)
def test_what_an_answer_has_to_be_is_told_in_words(schema, words):
    assert wanted(schema) == words


def test_a_long_prompt_is_cut():
    wait = {"kind": "input", "prompt": "\n".join(map(str, range(100))), "schema": None, "until": None}
    lines = list(Question("a", "t", "a", wait).lines())
    assert (lines[0], lines[1], lines[-2], len(lines)) == ("a asks: 0", "  1", "  … and 59 more lines", 43)
