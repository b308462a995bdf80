"""What the README shows is what comes out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
EXAMPLES = dict(re.findall(r"```(\w+)\n(.*?)```", (HERE / "README.md").read_text(encoding="utf-8"), re.DOTALL))


@pytest.fixture
def nightly(apflow, draw):
    """Draw the tree of the README, once it has run."""
    (apflow.folder / "nightly.json").write_text(EXAMPLES["json"], encoding="utf-8")
    return lambda *options: draw("nightly", *options, TREE_TO_RUN="nightly.json")


@pytest.mark.parametrize(("language", "options"), [("text", []), ("mermaid", ["--mermaid"])])
def test_the_examples_of_the_readme_come_out(nightly, language, options):
    assert nightly(*options).out == EXAMPLES[language]


def test_the_picture_of_the_readme_comes_out(nightly):
    assert nightly("--svg").out == (HERE / "example.svg").read_text(encoding="utf-8")
