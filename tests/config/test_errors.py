import pytest

from apflow.config import Settings, load_settings
from apflow_hookspecs.errors import ConfigError


def problems(load, **given):
    with pytest.raises(ConfigError) as refused:
        load(**given)
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"max_concurrency": 0}, "max_concurrency = 0: must be a whole number of at least 1 (from option)"),
        ({"max_concurrency": True}, "max_concurrency = True: must be a whole number of at least 1 (from option)"),
        ({"max_concurrency": "4"}, "max_concurrency = '4': must be a whole number of at least 1 (from option)"),
        ({"max_recoveries": -1}, "max_recoveries = -1: must be a whole number of at least 0 (from option)"),
        ({"timeout": 0}, "timeout = 0: must be a number of seconds above 0 (from option)"),
        ({"timeout": float("nan")}, "timeout = nan: must be a number of seconds above 0 (from option)"),
        ({"cancel_grace": -1}, "cancel_grace = -1: must be a number of seconds, at least 0 (from option)"),
        ({"durability": "half"}, "durability = 'half': must be full or process (from option)"),
        ({"db": ""}, "db = '': must be a path or a URL (from option)"),
        ({"db": ":memory:"}, "db = ':memory:': a storage in memory is called memory: (from option)"),
        ({"limits": 3}, "limits = 3: must be a table (from option)"),
        ({"limits": {"fetch": 0}}, "limits.fetch = 0: must be a whole number of at least 1 (from option)"),
        ({"policies": {"retry": 3}}, "policies.retry = 3: must be a table (from option)"),
        ({"executor_policies": {"fetch": {"retry": 3}}}, "executor_policies.fetch.retry = 3: must be a table (from option)"),
        ({"plugins": {"strict": "yes"}}, "plugins.strict = 'yes': must be true or false (from option)"),
        ({"plugins": {"block": [1]}}, "plugins.block = [1]: must be a list of names (from option)"),
        ({"plugins": {"blok": []}}, "plugins.blok = []: is unknown; the table has allow, block and strict (from option)"),
        ({"shelf": 3}, "shelf = 3: must be a table (from option)"),
        ({"max_concurency": 3}, "max_concurency = 3: is unknown; did you mean max_concurrency? (from option)"),
        ({"shelv": {"size": 1}}, "shelv.size = 1: is unknown; did you mean shelf? (from option)"),
        (
            {"zzz": 1},
            "zzz = 1: is unknown; there is neither such a setting nor an installed plugin of this name (from option)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_key_value_rule_and_source(load, options, problem):
    assert problems(load, **options) == [problem]


def test_all_problems_are_told_together_each_with_its_source(load, folder):
    (folder / "apflow.toml").write_text("timeout = 'soon'\nmax_dept = 3\n[limits]\nfetch = 'all'\n")
    assert problems(load, env={"APFLOW_MAX_DEPTH": "deep"}, hook_timeout=0) == [
        "max_dept = 3: is unknown; did you mean max_depth? (from apflow.toml)",
        "limits.fetch = 'all': must be a whole number of at least 1 (from apflow.toml)",
        "timeout = 'soon': must be a number of seconds above 0 (from apflow.toml)",
        "hook_timeout = 0: must be a number of seconds above 0 (from option)",
        "max_depth = 'deep': must be a whole number of at least 1 (from APFLOW_MAX_DEPTH)",
    ]


def test_a_strange_variable_is_told_and_ignored(load):
    settings = load(env={"APFLOW_MAX_CONCURENCY": "3", "APFLOW_SHELV__SIZE": "4", "OTHER_TIMEOUT": "x"})
    ignored = "is ignored: it is no setting, nor a key of an installed plugin"
    assert settings.max_concurrency == 32
    assert settings.warnings == (
        f"the variable APFLOW_MAX_CONCURENCY {ignored}; did you mean APFLOW_MAX_CONCURRENCY?",
        f"the variable APFLOW_SHELV__SIZE {ignored}; did you mean APFLOW_SHELF?",
    )


def test_an_installed_plugin_may_have_a_table():
    assert load_settings(env={}, options={"sqlite": {"check": 1}}).table("sqlite") == {"check": 1}


def test_settings_made_by_hand_are_checked_too():
    assert Settings(max_concurrency=3).max_concurrency == 3
    with pytest.raises(ValueError, match="must be a whole number of at least 1"):
        Settings(max_concurrency=0)


def test_a_secret_does_not_stand_in_an_error(load):
    assert "canary" not in problems(load, shelv={"api_token": "canary"})[0]
    assert "canary" not in problems(load, databaze="postgresql://me:canary@host/db")[0]
