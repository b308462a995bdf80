"""The rules of copying, each on drawn trees. An outcome reads `again | carried over | groups | left out`."""

import pytest
from drawn import drawn

from apflow.copies import draft_copy
from apflow.copying import AGAIN, CARRIED, GROUP, Choice, choose
from apflow.plan import Plan
from apflow_hookspecs.errors import InvalidParams, InvalidTree, NotFound

ALONE = "alone failed"
LINE = """
    root
      fetch  completed
      parse  failed    < fetch
      report skipped   < parse
      apart  completed
"""
STAGES = """
    root
      stage
        fetch completed
        parse failed  < fetch
        store skipped < parse
      report skipped < stage
"""
DIAMOND = """
    root
      top    completed
      left   completed < top
      right  failed    < top
      bottom skipped   < left right
"""
WORKING_ROOT = """
    root skipped < a b
      a completed
      b failed
"""
DONE_ROOT = """
    root completed < a b
      a completed
      b completed
"""
SIX_GROUPS = """
    l1
      l2
        l3
          l4
            l5
              deep   failed
              beside completed
            later  pending < l5
          before completed
      top skipped < l3
"""
SIX_WORKING = """
    l1 skipped < l2
      l2 skipped < l3
        l3 skipped < l4 source
          l4 skipped < l5
            l5 skipped < l6
              l6 failed < source
      source completed
"""
OPTIONAL = """
    root
      probe failed
      main  completed < probe?
      join  failed    < main probe?
"""
BEHIND_SKIPPED = """
    root
      source failed
      middle skipped   < source
      end    completed < middle?
"""
BEHIND_REQUIRED = """
    root
      source failed
      middle skipped   < source
      end    cancelled < middle
"""
RUNNING = """
    root
      first  failed
      second in_progress < first?
      third  waiting     < first?
      fourth pending     < second
      fifth  pending     < first?
"""
UNFINISHED = """
    root
      slow pending
      seen completed < slow?
      end  failed    < seen
"""
CANCELLED = """
    root
      gone   cancelled
      passed skipped   < gone
      seen   completed < passed?
      end    failed    < seen
"""
BOSS = """
    root
      boss pending < tool
        work failed
        rest pending
      tool completed < old?
      old  failed
"""
DONE_BOSS = """
    root
      boss completed < tool?
        one completed
        two completed < boss
      tool  failed
      after completed < one
"""
BY_REFERENCE = """
    root
      fetch completed
      parse failed  < fetch*
      store skipped < parse*
"""
FAILED_WITH_CHILDREN = """
    root
      boss failed
        helper completed
      after skipped < boss
"""
TWO_IN_ONE = """
    root
      part
        inner
          x failed
          y completed
      uses  failed < inner part?
      fresh failed < part
"""


class Outcome:
    def __init__(self, drawing, key, **choice):
        self.tree = drawn(drawing)
        self.chosen = choose(self.tree, self.tree.tasks[key], Choice(**choice))

    def __str__(self):
        told = [self.chosen.of(fate) for fate in (AGAIN, CARRIED)]
        groups = [task for task in self.chosen.of(GROUP) if task.n not in self.chosen.left_out]
        left_out = [self.chosen.tasks[n] for n in sorted(self.chosen.left_out)]
        return " | ".join(" ".join(task.key for task in tasks) or "-" for tasks in (*told, groups, left_out))

    def copy(self, **options):
        return draft_copy(
            self.chosen, options.pop("overrides", None), **{"now": 99, "origin": "local", "max_depth": 64} | options
        )


ALL, NONE = {"dependents": "all"}, {"dependents": "none"}
WITH_CHILDREN = {"children": True}
FULL = {"copy_mode": "full"}


def custom(*task_ids, **options):
    return {"copy_mode": "custom", "task_ids": task_ids, **options}


BASE = [
    (ALONE, "alone", {}, "alone | - | - | -"),
    (LINE, "apart", {}, "apart | - | root | -"),
    (DONE_BOSS, "two", {}, "two | boss tool | root | -"),
    (DONE_BOSS, "boss", {}, "boss two | tool | root | -"),
    (DONE_BOSS, "boss", WITH_CHILDREN, "boss one two after | tool | root | -"),
    (STAGES, "stage", {}, "fetch parse store | - | root stage | report"),
    (STAGES, "root", {}, "fetch parse store report | - | root stage | -"),
    (SIX_GROUPS, "l4", {}, "deep beside later | - | l1 l2 l3 l4 l5 | top"),
    (DONE_BOSS, "tool", custom("root", "boss"), "boss one two tool after | - | root | -"),
    (SIX_WORKING, "l4", WITH_CHILDREN, "l4 l5 l6 | source | - | l1 l2 l3"),
]
DEPENDENTS = [
    (LINE, "fetch", {}, "fetch parse report | - | root | -"),
    (DIAMOND, "top", {}, "top left right bottom | - | root | -"),
    (STAGES, "fetch", {}, "fetch parse store report | - | root stage | -"),
    (DONE_ROOT, "a", {}, "root a | b | - | -"),
    (OPTIONAL, "probe", {}, "probe main join | - | root | -"),
    (BY_REFERENCE, "fetch", {}, "fetch parse store | - | root | -"),
    (SIX_GROUPS, "beside", {}, "deep beside later top | before | l1 l2 l3 l4 l5 | -"),
]
FAILED_LEAVES = [
    (LINE, "parse", {}, "parse | fetch | root | report"),
    (LINE, "parse", ALL, "parse report | fetch | root | -"),
    (LINE, "parse", NONE, "parse | fetch | root | report"),
    (LINE, "fetch", NONE, "fetch | - | root | parse report"),
    (DIAMOND, "right", {}, "right | top | root | bottom"),
    (DIAMOND, "right", ALL, "right bottom | top left | root | -"),
    (BY_REFERENCE, "parse", {}, "parse | fetch | root | store"),
    (STAGES, "parse", {}, "parse | fetch | root stage | store report"),
    (STAGES, "parse", ALL, "parse store report | fetch | root stage | -"),
    (SIX_GROUPS, "deep", {}, "deep | - | l1 l2 l3 l4 l5 | later top"),
    (SIX_GROUPS, "deep", ALL, "deep later top | beside before | l1 l2 l3 l4 l5 | -"),
    (RUNNING, "first", {}, "first second third | - | root | fourth fifth"),
    (RUNNING, "first", ALL, "first second third fourth fifth | - | root | -"),
    (FAILED_WITH_CHILDREN, "boss", {}, "boss after | - | root | -"),
    (FAILED_WITH_CHILDREN, "boss", WITH_CHILDREN, "boss helper after | - | root | -"),
]
CLOSURE = [
    (LINE, "report", {}, "parse report | fetch | root | -"),
    (DIAMOND, "left", {}, "left right bottom | top | root | -"),
    (DIAMOND, "bottom", {}, "right bottom | top left | root | -"),
    (STAGES, "report", {}, "parse store report | fetch | root stage | -"),
    (OPTIONAL, "join", {}, "join | probe main | root | -"),
    (OPTIONAL, "main", {}, "main join | probe | root | -"),
    (SIX_GROUPS, "top", {}, "deep later top | beside before | l1 l2 l3 l4 l5 | -"),
    (SIX_WORKING, "l1", {}, "l1 l2 l3 l4 l5 l6 | source | - | -"),
    (BEHIND_SKIPPED, "source", {}, "source end | middle | root | -"),
    (BEHIND_REQUIRED, "source", {}, "source middle end | - | root | -"),
    (BEHIND_REQUIRED, "source", NONE, "source | - | root | middle end"),
    (UNFINISHED, "end", {}, "slow end | seen | root | -"),
    (CANCELLED, "end", {}, "end | gone passed seen | root | -"),
    (RUNNING, "fourth", {}, "second fourth | first | root | -"),
    (TWO_IN_ONE, "uses", {}, "x uses | y | root part inner | -"),
    (TWO_IN_ONE, "fresh", {}, "x fresh | y | root part inner | -"),
]
ANCESTORS = [
    (WORKING_ROOT, "b", {}, "b | - | - | root"),
    (WORKING_ROOT, "b", ALL, "root b | a | - | -"),
    (WORKING_ROOT, "a", {}, "root a b | - | - | -"),
    (WORKING_ROOT, "a", NONE, "a | - | - | root"),
    (DONE_ROOT, "a", NONE, "a | - | - | root"),
    (BOSS, "work", {}, "boss work | tool old | root | -"),
    (BOSS, "rest", {}, "boss rest | tool old | root | -"),
    (DONE_BOSS, "one", {}, "one after | boss tool | root | -"),
    (SIX_WORKING, "l6", {}, "l6 | source | - | l1 l2 l3 l4 l5"),
    (SIX_WORKING, "l6", ALL, "l1 l2 l3 l4 l5 l6 | source | - | -"),
    (SIX_WORKING, "source", {}, "l1 l2 l3 l4 l5 l6 source | - | - | -"),
    (SIX_WORKING, "source", NONE, "source | - | - | l1 l2 l3 l4 l5 l6"),
]
MODES = [
    (LINE, "parse", FULL, "parse report | fetch apart | root | -"),
    (LINE, "fetch", FULL, "fetch parse report | apart | root | -"),
    (WORKING_ROOT, "a", FULL, "root a b | - | - | -"),
    (DONE_ROOT, "a", FULL, "root a | b | - | -"),
    (OPTIONAL, "join", FULL, "probe join | main | root | -"),
    (SIX_GROUPS, "deep", FULL, "deep later top | beside before | l1 l2 l3 l4 l5 | -"),
    (ALONE, "alone", custom("alone"), "alone | - | - | -"),
    (LINE, "root", custom("apart", "report"), "parse report apart | fetch | root | -"),
    (LINE, "apart", custom("fetch", include_dependents=True), "fetch parse report | - | root | -"),
    (LINE, "root", custom("fetch", allow_partial=True), "fetch | - | root | parse report"),
    (LINE, "root", custom("fetch", "report", allow_partial=True), "fetch parse report | - | root | -"),
    (STAGES, "root", custom("stage", allow_partial=True), "fetch parse store | - | root stage | report"),
    (DONE_BOSS, "root", custom("boss", children=True, include_dependents=True), "boss one two after | tool | root | -"),
    (WORKING_ROOT, "root", custom("a", allow_partial=True), "a | - | - | root"),
    (SIX_WORKING, "l1", custom("l6", allow_partial=True), "l6 | source | - | l1 l2 l3 l4 l5"),
]


@pytest.mark.parametrize(("drawing", "task", "choice", "outcome"), BASE)
def test_the_base_is_the_task_and_on_demand_or_of_a_group_all_under_it(drawing, task, choice, outcome):
    assert str(Outcome(drawing, task, **choice)) == outcome


@pytest.mark.parametrize(("drawing", "task", "choice", "outcome"), DEPENDENTS)
def test_dependents_run_again(drawing, task, choice, outcome):
    assert str(Outcome(drawing, task, **choice)) == outcome


@pytest.mark.parametrize(("drawing", "task", "choice", "outcome"), FAILED_LEAVES)
def test_a_failed_leaf_leaves_out_dependents_that_never_ran_unless_told_otherwise(drawing, task, choice, outcome):
    assert str(Outcome(drawing, task, **choice)) == outcome


@pytest.mark.parametrize(("drawing", "task", "choice", "outcome"), CLOSURE)
def test_what_is_needed_is_carried_over_or_runs_again(drawing, task, choice, outcome):
    assert str(Outcome(drawing, task, **choice)) == outcome


@pytest.mark.parametrize(("drawing", "task", "choice", "outcome"), ANCESTORS)
def test_working_ancestors_run_again_are_carried_over_or_become_groups(drawing, task, choice, outcome):
    assert str(Outcome(drawing, task, **choice)) == outcome


@pytest.mark.parametrize(("drawing", "task", "choice", "outcome"), MODES)
def test_the_other_modes_take_the_whole_tree_or_chosen_tasks(drawing, task, choice, outcome):
    assert str(Outcome(drawing, task, **choice)) == outcome


# What is refused


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"copy_mode": "deep"}, "copy_mode = 'deep': must be one of 'minimal', 'full', 'custom'"),
        ({"dependents": "some"}, "dependents = 'some': must be one of 'auto', 'all', 'none'"),
        ({"task_ids": ["a"]}, "task_ids = ['a']: belongs to copy_mode = 'custom', and this one is 'minimal'"),
        ({"include_dependents": True}, "include_dependents = True: belongs to copy_mode = 'custom', and this one is 'minimal'"),
        ({"allow_partial": True, **FULL}, "allow_partial = True: belongs to copy_mode = 'custom', and this one is 'full'"),
        ({"dependents": "all", **FULL}, "dependents = 'all': belongs to copy_mode = 'minimal', and this one is 'full'"),
        (custom("a", **NONE), "dependents = 'none': belongs to copy_mode = 'minimal', and this one is 'custom'"),
        (custom(), "copy_mode = 'custom': needs the ids of the tasks that are to run again, as task_ids"),
        (
            custom("a", include_dependents=True, allow_partial=True),
            "include_dependents adds what allow_partial leaves out; give one of them",
        ),
    ],
)
def test_options_that_do_not_belong_together_are_refused(choice, message):
    with pytest.raises(InvalidParams) as refused:
        Choice(**choice)
    assert str(refused.value) == message


def test_a_chosen_task_that_is_not_in_the_tree_is_refused_by_name():
    with pytest.raises(NotFound, match="task_ids: there is no task 'nowhere' in tree 'root'"):
        Outcome(LINE, "root", **custom("fetch", "nowhere"))


def test_a_custom_copy_without_its_dependents_is_refused_with_their_paths():
    with pytest.raises(InvalidTree, match="2 problems, the first") as refused:
        Outcome(LINE, "root", **custom("fetch"))
    assert [problem.task for problem in refused.value.problems] == ["parse", "report"]
    assert "report → parse → fetch; include_dependents adds it, allow_partial accepts it" in str(refused.value.problems[1])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"nobody": {}}, "overrides = 'nobody': no task of the tree has this key"),
        (
            {"fetch": {"name": "x"}},
            "task 'fetch', overrides = {'name': 'x'}: does not run again in this copy, and stays as it is",
        ),
        (
            {"root": {"name": "x"}},
            "task 'root', overrides = {'name': 'x'}: does not run again in this copy, and stays as it is",
        ),
        ({"report": {}}, "task 'report', overrides = {}: does not run again in this copy, and stays as it is"),
        ({"parse": ["x"]}, "task 'parse', overrides = ['x']: must be an object of fields"),
        ({"parse": {"executor": None}}, "task 'parse', overrides.executor = None: what runs again needs one"),
        *(
            (
                {"parse": {field: "x"}},
                f"task 'parse', overrides.{field} = 'x': cannot be overridden; what can: dependencies, ex",
            )
            for field in ("id", "key", "parent_id", "user_id", "status", "nonsense")
        ),
        (["parse"], "overrides must be an object of fields by the task's key, and are of type list"),
    ],
)
def test_an_override_that_cannot_be_is_refused_by_name(overrides, message):
    with pytest.raises(InvalidParams) as refused:
        Outcome(LINE, "parse").copy(overrides=overrides)
    assert str(refused.value).startswith(message)


def test_all_overrides_that_cannot_be_are_told_together():
    with pytest.raises(InvalidParams) as refused:
        Outcome(LINE, "parse").copy(overrides={"nobody": {}, "parse": {"id": "x", "key": "y"}})
    assert [problem.field for problem in refused.value.problems] == ["overrides", "overrides.id", "overrides.key"]


# What the copy is


def standing(copy):
    return {task.key: (task.status.value, task.run) for task in copy.draft.tree}


def test_a_copy_has_new_ids_old_keys_and_remapped_references():
    made = Outcome(DIAMOND, "bottom").copy().draft.tree
    old = drawn(DIAMOND)
    assert list(made.tasks) == ["root", "top", "left", "right", "bottom"]
    assert not {task.id for task in made} & {task.id for task in old}
    assert {task.tree_id for task in made} == {made.root.id}
    assert {made[d.task_id].key for d in made.tasks["bottom"].dependencies} == {"left", "right"}
    assert [task.original_task_id for task in made] == [task.id for task in old]


def test_what_is_carried_over_stands_as_it_ended_and_what_runs_again_as_new():
    outcome = Outcome(CANCELLED, "end")
    made = outcome.copy().draft.tree
    for key in ("gone", "passed", "seen"):
        old, new = outcome.tree.tasks[key], made.tasks[key]
        for field in ("status", "result", "error", "progress", "started_at", "completed_at", "attempt"):
            assert getattr(new, field) == getattr(old, field), field
        assert new.run == 0
    end = made.tasks["end"]
    assert (end.status, end.result, end.error, end.progress, end.attempt) == ("pending", None, None, 0, 0)
    assert (end.started_at, end.completed_at, end.created_at) == (None, None, 99)


def test_the_authors_fields_are_kept_and_overrides_change_them():
    outcome = Outcome(BY_REFERENCE, "parse")
    fetch, parse = outcome.tree.tasks["fetch"], outcome.tree.tasks["parse"]
    fetch.name, fetch.params, fetch.labels = "Fetch it", {"p": 1}, {"gpu": True}
    parse.priority, parse.timeout, parse.on_crash = 0, 5.0, "fail"
    parse.policies, parse.schemas, parse.user_id = {"retry": {}}, {"input_schema": {}}, "ada"
    made = outcome.copy(overrides={"parse": {"inputs": {"x": 1}, "priority": 3, "timeout": None}}).draft
    assert made.problems == ()
    new = made.tree.tasks["fetch"]
    assert (new.name, new.params, new.labels) == ("Fetch it", {"p": 1}, {"gpu": True})
    new = made.tree.tasks["parse"]
    assert (new.inputs, new.priority, new.timeout, new.on_crash) == ({"x": 1}, 3, None, "fail")
    assert (new.policies, new.schemas, new.user_id) == ({"retry": {}}, {"input_schema": {}}, "ada")
    assert parse.inputs == {"fetch": {"$from": "fetch"}}


def test_an_override_goes_through_the_checks_of_creation():
    problems = Outcome(LINE, "parse").copy(overrides={"parse": {"priority": 77, "dependencies": ["report"]}}).draft.problems
    assert [(problem.task, problem.field) for problem in problems] == [("parse", "priority"), ("parse", "dependencies")]


def test_a_task_that_was_left_out_and_is_needed_as_ancestor_becomes_a_bare_group():
    outcome = Outcome(WORKING_ROOT, "b")
    root = outcome.tree.root
    root.inputs, root.params, root.policies, root.schemas = {"x": 1}, {"p": 1}, {"retry": {}}, {"input_schema": {}}
    root.timeout, root.on_crash, root.priority, root.labels, root.name = 1.0, "fail", 0, {"gpu": True}, "All of it"
    draft = outcome.copy().draft
    assert draft.problems == ()
    made = draft.tree.root
    assert (made.key, made.name, made.executor, made.dependencies) == ("root", "All of it", None, ())
    assert [made.inputs, made.params, made.policies, made.schemas, made.labels] == [{}] * 5
    assert (made.timeout, made.on_crash, made.priority, made.status) == (None, None, 2, "pending")


def test_a_group_is_pending_while_anything_under_it_runs_again_else_as_bad_as_what_is_under_it():
    made = Outcome(
        """
        root
          good
            a completed
          skipped
            good2
              b completed
            c skipped
          cancelled
            d skipped
            e cancelled
          failed
            f cancelled
            g failed
            h completed
          end failed < good? skipped? cancelled? failed?
        """,
        "end",
    ).copy()
    assert made.draft.problems == ()
    found = standing(made)
    assert {key: found[key] for key in ("good", "good2", "skipped", "cancelled", "failed")} == {
        "good": ("completed", 0),
        "good2": ("completed", 0),
        "skipped": ("skipped", 0),
        "cancelled": ("cancelled", 0),
        "failed": ("failed", 0),
    }
    assert found["root"] == ("pending", 1)
    good, failed = made.draft.tree.tasks["good"], made.draft.tree.tasks["failed"]
    assert (good.progress, good.started_at, good.completed_at) == (1.0, 7, 12)
    assert (failed.progress, failed.started_at, failed.completed_at) == (0.0, 17, 23)


def test_the_origin_is_the_stricter_one_and_owner_and_context_stay():
    for source, caller, made in [("local",) * 3, ("remote", "local", "remote"), ("local", "remote", "remote")]:
        outcome = Outcome(LINE, "parse")
        outcome.tree.origin, outcome.tree.user_id, outcome.tree.context_id = source, "ada", "talk"
        copy = outcome.copy(origin=caller).draft.tree
        assert (copy.origin, copy.user_id, copy.context_id) == (made, "ada", "talk")
        assert {task.user_id for task in copy} == {"ada"}


def test_a_dependency_by_name_and_a_key_that_is_no_id_survive_being_copied():
    outcome = Outcome(LINE, "parse")
    fetch = outcome.tree.tasks.pop("fetch")
    fetch.key = "fetch all: ü"
    outcome.tree.tasks = {"root": outcome.tree.tasks.pop("root"), fetch.key: fetch, **outcome.tree.tasks}
    made = outcome.copy().draft
    assert made.problems == ()
    assert [made.tree[d.task_id].key for d in made.tree.tasks["parse"].dependencies] == ["fetch all: ü"]


@pytest.mark.parametrize(("choice", "keys"), [({}, "root parse apart"), (FULL, "root parse last apart")])
def test_a_tree_out_of_which_a_task_was_deleted_can_be_copied(choice, keys):
    tree = drawn("root\n  gone pending\n  parse failed\n  last completed\n  apart pending < parse")
    del tree.tasks["gone"]
    chosen = choose(tree, tree.tasks["parse"], Choice(**choice or ALL))
    made = draft_copy(chosen, None, now=99, origin="local", max_depth=64).draft
    assert made.problems == ()
    assert list(made.tree.tasks) == keys.split()
    assert [task.n for task in made.tree] == list(range(len(made.tree)))


@pytest.mark.parametrize("choice", [{}, ALL, NONE, FULL])
def test_the_cost_of_choosing_grows_with_the_tree_and_not_with_its_depth(steps, choice):
    def cost(depth):
        lines = []
        for level in range(depth):
            lines += [f"{'  ' * level}g{level}", f"{'  ' * (level + 1)}t{level} {'completed' if level % 3 else 'failed'}"]
        needs_all = " ".join(f"g{level}" for level in range(1, depth))
        tree = drawn("\n".join([*lines, f"  needs skipped < {needs_all}", f"  sees completed < {needs_all} needs?"]))
        task = tree.tasks[f"t{depth - 1}"]
        Plan.of(tree)
        return steps(lambda: choose(tree, task, Choice(**choice)))

    assert cost(200) < 4.4 * cost(50)
