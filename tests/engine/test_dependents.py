import pytest
from drawn import drawn

from apflow.dependents import find_dependents, missing_dependents
from apflow.plan import Plan, numbered
from apflow_hookspecs.errors import InvalidTree

LINE = """
    root
      fetch  completed
      parse  failed    < fetch
      report skipped   < parse
      apart  completed
"""
DIAMOND = """
    root
      top    completed
      left   completed < top
      right  completed < top?
      bottom completed < left right*
"""
NESTED = """
    root
      outer
        inner
          deep  completed
          deeper
            deepest completed
        beside completed
      sees-inner  completed < inner
      sees-outer  completed < outer
      sees-beside completed < beside
      sees-all    completed < sees-inner? sees-outer
"""


class Look:
    def __init__(self, drawing):
        self.tree = drawn(drawing)
        self.tasks = numbered(self.tree)
        self.plan = Plan.of(self.tree)

    def find(self, chosen, **options):
        return find_dependents(self.plan, [self.tree.tasks[key].n for key in chosen.split()], **options)

    def dependents(self, chosen, **options):
        return " ".join(self.tasks[n].key for n in self.find(chosen, **options).numbers)

    def path(self, chosen, dependent):
        path = self.find(chosen).path(self.tree.tasks[dependent].n)
        return " ".join(self.tasks[n].key for n in path)

    def refusal(self, chosen):
        return missing_dependents(self.tasks, self.find(chosen))


@pytest.mark.parametrize(
    ("drawing", "chosen", "direct", "transitive"),
    [
        (LINE, "report", "", ""),
        (LINE, "parse", "report", "report"),
        (LINE, "fetch", "parse", "parse report"),
        (LINE, "fetch parse", "report", "report"),
        (LINE, "fetch report", "parse", "parse"),
        (LINE, "root", "", ""),
        (LINE, "", "", ""),
        (DIAMOND, "top", "left right", "left right bottom"),
        (DIAMOND, "left", "bottom", "bottom"),
        (DIAMOND, "right", "bottom", "bottom"),
        (NESTED, "deepest", "sees-inner sees-outer", "sees-inner sees-outer sees-all"),
        (NESTED, "beside", "sees-outer sees-beside", "sees-outer sees-beside sees-all"),
        (NESTED, "inner", "sees-inner sees-outer", "sees-inner sees-outer sees-all"),
        (NESTED, "outer", "sees-outer", "sees-outer sees-all"),
        (NESTED, "outer deepest", "sees-inner sees-outer", "sees-inner sees-outer sees-all"),
        ("alone completed", "alone", "", ""),
    ],
)
def test_dependents_are_found_through_dependencies_references_and_groups(drawing, chosen, direct, transitive):
    look = Look(drawing)
    assert look.dependents(chosen, transitive=False) == direct
    assert look.dependents(chosen) == transitive


def test_a_working_root_that_depends_on_its_leaves_is_one_of_them():
    look = Look("root skipped < a\n  a failed\n    under-a completed")
    assert look.dependents("a") == "root"
    assert look.dependents("under-a") == ""


@pytest.mark.parametrize(
    ("drawing", "chosen", "dependent", "path"),
    [
        (LINE, "fetch", "report", "report parse fetch"),
        (LINE, "fetch parse", "report", "report parse"),
        (NESTED, "deepest", "sees-outer", "sees-outer outer deepest"),
        (NESTED, "deepest", "sees-all", "sees-all sees-inner inner deepest"),
        (NESTED, "outer", "sees-all", "sees-all sees-outer outer"),
        (NESTED, "outer deepest", "sees-outer", "sees-outer outer"),
    ],
)
def test_a_path_leads_from_a_dependent_to_what_was_chosen(drawing, chosen, dependent, path):
    assert Look(drawing).path(chosen, dependent) == path


def test_the_refusal_names_each_missing_dependent_with_its_path():
    refused = Look(LINE).refusal("fetch")
    assert isinstance(refused, InvalidTree)
    assert str(refused).startswith("2 problems, the first: task 'parse', dependencies = 'fetch': ")
    assert [(p.task, p.field, p.value, p.code) for p in refused.problems] == [
        ("parse", "dependencies", "fetch", InvalidTree.code),
        ("report", "dependencies", "parse", InvalidTree.code),
    ]
    assert refused.problems[1].rule == (
        "depends on what was chosen, and was not chosen itself: report → parse → fetch; "
        "include_dependents adds it, allow_partial accepts it"
    )


def test_the_refusal_of_one_missing_dependent_is_its_problem():
    refused = Look(LINE).refusal("parse")
    assert str(refused) == str(refused.problems[0])
    assert "report → parse;" in str(refused)


def test_a_refusal_tells_twenty_problems_and_shortens_long_paths():
    chain = "\n".join(["root", "  t0 completed", *(f"  t{n} completed < t{n - 1}" for n in range(1, 101))])
    refused = Look(chain).refusal("t0")
    assert str(refused).startswith("100 problems, the first: task 't1'")
    assert len(refused.problems) == 20
    only_the_last = missing_dependents(Look(chain).tasks, Look(chain).find("t0")).problems[-1].rule
    assert "t20 → t19 → t18" in only_the_last
    assert "t2 → … 1 more … → t0;" in only_the_last


def test_the_cost_grows_with_the_tree_and_not_with_its_depth(steps):
    def cost(depth):
        groups = [f"{'  ' * level}g{level}" for level in range(depth)]
        leaves = [f"{'  ' * (level + 1)}t{level} completed" for level in range(depth)]
        lines = [line for pair in zip(groups, leaves, strict=True) for line in pair]
        look = Look("\n".join([*lines, f"  last completed < {' '.join(f'g{level}' for level in range(1, depth))}"]))
        chosen = [look.tree.tasks[f"t{level}"].n for level in range(depth)]
        return steps(find_dependents, look.plan, chosen)

    assert cost(200) < 4.4 * cost(50)
