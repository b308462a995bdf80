from pathlib import Path
from typing import Literal

import pytest
from attrs import Factory, field, frozen, validators

from apflow_hookspecs.errors import ConfigError


@frozen
class Part:
    width: int
    label: str = ""


@frozen
class Shelf:
    check: str = "quick"
    size: int = 4
    ratio: float = 0.5
    strict: bool = False
    mode: Literal["a", "b"] = "a"
    where: Path | None = None
    roots: tuple[str, ...] = ()
    ports: list[int] = Factory(list)
    parts: dict[str, Part] = Factory(dict)
    depth: int = field(default=1, validator=validators.ge(1))


def problems(settings, cls=Shelf):
    with pytest.raises(ConfigError) as refused:
        settings.section("shelf", cls)
    return [str(problem) for problem in refused.value.problems]


def test_a_plugin_without_a_table_gets_the_defaults_of_its_class(load):
    assert load().section("shelf", Shelf) == Shelf()


def test_a_table_becomes_an_instance(load, folder):
    (folder / "apflow.toml").write_text(
        '[shelf]\ncheck = "full"\nsize = 5\nratio = 1\nstrict = true\nwhere = "/srv"\nroots = ["a", "b"]\n'
        "[shelf.parts.left]\nwidth = 3\n"
    )
    shelf = load(shelf={"size": 6}).section("shelf", Shelf)
    assert shelf == Shelf("full", 6, 1.0, strict=True, where=Path("/srv"), roots=("a", "b"), parts={"left": Part(3)})


def test_a_variable_is_read_as_its_field_needs(load):
    env = {
        "APFLOW_SHELF__CHECK": "12", "APFLOW_SHELF__SIZE": "12", "APFLOW_SHELF__STRICT": "true", "APFLOW_SHELF__MODE": "b",
        "APFLOW_SHELF__WHERE": "/srv", "APFLOW_SHELF__ROOTS": "1, b", "APFLOW_SHELF__PORTS": "80,443",
    }  # fmt: skip
    shelf = load(env=env).section("shelf", Shelf)
    assert shelf == Shelf("12", 12, strict=True, mode="b", where=Path("/srv"), roots=("1", "b"), ports=[80, 443])


def test_a_plugin_is_found_however_its_name_is_spelt(load, folder):
    (folder / "apflow.toml").write_text("[My_Plugin]\nwidth = 1\n")
    settings = load(env={"APFLOW_MY_PLUGIN__LABEL": "x"})
    assert settings.section("my-plugin", Part) == settings.section("my_plugin", Part) == Part(1, "x")


def test_the_whole_table_can_stand_in_one_variable(load):
    assert load(env={"APFLOW_SHELF": "{size = 9}"}).section("shelf", Shelf).size == 9


def test_a_table_as_it_was_read_has_plain_values(load):
    settings = load(env={"APFLOW_SHELF__SIZE": "12", "APFLOW_SHELF__CHECK": "full"}, shelf={"odd": 1})
    assert settings.table("shelf") == {"size": 12, "check": "full", "odd": 1}


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"chek": 1}, "shelf.chek = 1: is unknown; did you mean check? (from option)"),
        ({"size": "5"}, "shelf.size = '5': must be an integer (from option)"),
        ({"size": True}, "shelf.size = True: must be an integer (from option)"),
        ({"strict": "no"}, "shelf.strict = 'no': must be true or false (from option)"),
        ({"roots": "abc"}, "shelf.roots = 'abc': must be an array (from option)"),
        ({"mode": "c"}, "shelf.mode = 'c': must be one of 'a', 'b' (from option)"),
        ({"parts": {"left": {"width": "x"}}}, "shelf.parts.left.width = 'x': must be an integer (from option)"),
        ({"parts": {"left": {"label": "x"}}}, "shelf.parts.left.width = None: is missing"),
    ],
)
def test_what_does_not_fit_is_refused_by_key_value_rule_and_source(load, table, problem):
    assert problems(load(shelf=table)) == [problem]


def test_a_validator_of_the_class_counts(load):
    (problem,) = problems(load(shelf={"depth": 0}))
    assert problem.startswith("shelf")
    assert "'depth' must be >= 1: 0" in problem


def test_all_problems_are_told_together_each_with_its_source(load):
    settings = load(env={"APFLOW_SHELF__SIZE": "big"}, shelf={"chek": 1, "ratio": "half"})
    assert problems(settings) == [
        "shelf.chek = 1: is unknown; did you mean check? (from option)",
        "shelf.size = 'big': must be an integer (from APFLOW_SHELF__SIZE)",
        "shelf.ratio = 'half': must be a number (from option)",
    ]


def test_what_is_missing_is_named(load):
    assert problems(load(), Part) == ["shelf.width = None: is missing"]


def test_a_secret_does_not_stand_in_an_error(load):
    @frozen
    class Door:
        secret: int = 0

    assert problems(load(shelf={"secret": "canary"}), Door) == ["shelf.secret = '***': must be an integer (from option)"]


def test_only_an_attrs_class_has_a_section(load):
    with pytest.raises(TypeError, match="is none"):
        load().section("shelf", int)
