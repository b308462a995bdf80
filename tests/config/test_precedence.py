import sys

import pytest
from platformdirs import user_config_path, user_data_path

from apflow.config import load_settings
from apflow_hookspecs.errors import ConfigError


def test_without_anything_the_defaults_hold(load):
    settings = load()
    assert (settings.max_concurrency, settings.timeout, settings.durability) == (32, 3600.0, "full")
    assert settings.db == f"sqlite:///{(user_data_path('apflow', appauthor=False) / 'apflow.db').as_posix()}"
    assert {line.source for line in settings.lines()} == {"default"}


def test_options_go_before_variables_before_the_file_before_defaults(load, folder):
    (folder / "apflow.toml").write_text("max_concurrency = 2\ntimeout = 2\ncancel_grace = 2\n")
    settings = load(env={"APFLOW_TIMEOUT": "3", "APFLOW_CANCEL_GRACE": "3"}, cancel_grace=4)
    assert (settings.max_concurrency, settings.timeout, settings.cancel_grace, settings.drain_timeout) == (2, 3.0, 4.0, 30.0)
    sources = {line.key: line.source for line in settings.lines()}
    assert sources["max_concurrency"] == "apflow.toml"
    assert sources["timeout"] == "APFLOW_TIMEOUT"
    assert sources["cancel_grace"] == "option"
    assert sources["drain_timeout"] == "default"


def test_the_environment_of_the_process_is_read_by_default(monkeypatch):
    monkeypatch.setenv("APFLOW_MAX_CONCURRENCY", "7")
    assert load_settings().max_concurrency == 7


def test_tables_are_merged_key_by_key(load, folder):
    (folder / "apflow.toml").write_text("[limits]\nfetch = 1\nparse = 1\n[policies.retry]\nmax_attempts = 3\n")
    settings = load(env={"APFLOW_LIMITS__PARSE": "2"}, limits={"store": 3}, policies={"cache": {"ttl": 60}})
    assert settings.limits == {"fetch": 1, "parse": 2, "store": 3}
    assert settings.policies == {"retry": {"max_attempts": 3}, "cache": {"ttl": 60}}
    sources = {line.key: line.source for line in settings.lines()}
    assert (sources["limits.fetch"], sources["limits.parse"], sources["limits.store"]) == (
        "apflow.toml", "APFLOW_LIMITS__PARSE", "option",
    )  # fmt: skip


def test_an_option_that_is_none_is_not_given(load):
    assert load(env={"APFLOW_TIMEOUT": "3"}, timeout=None, db=None).timeout == 3.0


def test_an_empty_variable_is_not_given(load):
    assert load(env={"APFLOW_TIMEOUT": "", "APFLOW_CONFIG": ""}).timeout == 3600.0


def test_the_first_file_that_there_is_counts_and_no_other(load, folder, tmp_path):
    named, given = tmp_path / "named.toml", tmp_path / "given.toml"
    usual = user_config_path("apflow", appauthor=False) / "apflow.toml"
    usual.parent.mkdir(parents=True)
    usual.write_text("max_concurrency = 1\ntimeout = 1")
    assert load().max_concurrency == 1
    (folder / "apflow.toml").write_text("max_concurrency = 2")
    assert load().max_concurrency == 2
    named.write_text("max_concurrency = 3")
    assert load(env={"APFLOW_CONFIG": str(named)}).max_concurrency == 3
    given.write_text("max_concurrency = 4")
    settings = load(given, env={"APFLOW_CONFIG": str(named)})
    assert (settings.max_concurrency, settings.timeout) == (4, 3600.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "No such file or directory"),
        ("max_concurrency = ", "Invalid value (at end of document)"),
        (b"\xff", "can't decode byte 0xff"),
    ],
    ids=["missing", "no TOML", "no UTF-8"],
)
def test_a_file_that_cannot_be_read_is_named(load, tmp_path, text, reason):
    file = tmp_path / "odd.toml"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as refused:
        load(env={"APFLOW_CONFIG": str(file)})
    assert str(refused.value).startswith(f"the configuration {file} cannot be read: ")
    assert reason in str(refused.value)


def test_plugins_are_chosen_by_comma_lists(load):
    choice = load(env={"APFLOW_PLUGINS": "sqlite, stdio,", "APFLOW_BLOCK": "hello", "APFLOW_PLUGINS__STRICT": "true"}).plugins
    assert (choice.allow, choice.block, choice.strict) == (("sqlite", "stdio"), ("hello",), True)


def test_plugins_are_chosen_by_the_file(load, folder):
    (folder / "apflow.toml").write_text('[plugins]\nallow = ["sqlite"]\nblock = ["hello", "stdio"]\n')
    choice = load(env={"APFLOW_BLOCK": '["other"]'}).plugins
    assert (choice.allow, choice.block, choice.strict) == (("sqlite",), ("other",), False)


def test_a_variable_is_read_as_what_its_setting_needs(load):
    settings = load(
        env={
            "APFLOW_DB": "memory:",
            "APFLOW_MAX_RESULT_BYTES": "2_000",
            "APFLOW_TIMEOUT": "inf",
            "APFLOW_LIMITS": "{fetch = 2}",
            "APFLOW_EXECUTOR_POLICIES__FETCH__RETRY__MAX_ATTEMPTS": "5",
            "APFLOW_POLICIES__NOTE__TEXT": "five is = 5",
        }
    )
    assert (settings.db, settings.max_result_bytes, settings.timeout) == ("memory:", 2000, float("inf"))
    assert settings.limits == {"fetch": 2}
    assert settings.executor_policies == {"fetch": {"retry": {"max_attempts": 5}}}
    assert settings.policies == {"note": {"text": "five is = 5"}}


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("memory:", "memory:"),
        ("sqlite:///flow.db", "sqlite:///flow.db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("flow.db", "sqlite:///{folder}/flow.db"),
        ("data/my flow.db", "sqlite:///{folder}/data/my flow.db"),
        ("~/flow.db", "sqlite:///{home}/flow.db"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="paths of POSIX")
def test_a_path_is_the_url_of_a_file(load, folder, tmp_path, given, url):
    assert load(db=given).db == url.format(folder=folder, home=tmp_path / "home")


def test_an_absolute_path_is_the_url_of_a_file(load, tmp_path):
    assert load(db=tmp_path / "flow.db").db == f"sqlite:///{(tmp_path / 'flow.db').as_posix()}"
