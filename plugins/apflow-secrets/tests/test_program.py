"""The plugin as it is installed: `apflow secrets list`, and the example."""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path

import pytest
from programs import Program

from .conftest import CANARY

HERE = Path(__file__).parents[1]
README = (HERE / "README.md").read_text(encoding="utf-8")
SETTINGS = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)

CONFIGURATION = """
[secrets.known.zebra]
file = "{folder}/zebra"
executors = ["command_executor", "rest_executor"]
hosts = ["API.example.com", "*.example.org"]
remote = true

[secrets.known."api.token"]
env = "API_TOKEN"
executors = ["*"]

[secrets.known.mail]
keyring = "mail/ada"
executors = ["command_executor"]
"""


@pytest.fixture
def apflow(tmp_path):
    (tmp_path / "plugins").mkdir()
    return Program(tmp_path, tmp_path / "plugins")


@pytest.fixture
def listed(apflow):
    """What `apflow secrets list` tells about three secrets, of which one can be read."""
    (apflow.folder / "apflow.toml").write_text(CONFIGURATION.format(folder=apflow.folder))
    (apflow.folder / "zebra").write_text("zebra-" + CANARY)
    (apflow.folder / "zebra").chmod(0o644)
    backend = "keyring.backends.fail.Keyring"

    def run(*options):
        done = apflow("secrets", *options, API_TOKEN=CANARY, PYTHON_KEYRING_BACKEND=backend)
        assert CANARY not in done.out + done.err
        return done

    return run


def test_they_are_listed_with_whether_they_can_be_read(listed, apflow):
    done = listed("list")
    lines = [re.split(r"\s{2,}", line) for line in done.out.splitlines()]
    unsafe = "has the mode 0644, and group and others must not read or write it (chmod 600, or check_mode = false)"
    failing = "no: cannot be read: the keyring failed for 'mail/ada' with NoKeyringError"
    file = f"{apflow.folder}/zebra"
    assert done.code == 0, done.err
    assert lines == [
        ["NAME", "SOURCE", "EXECUTORS", "HOSTS", "REMOTE", "CAN BE READ"],
        ["api.token", "env API_TOKEN", "*", "any", "no", "yes"],
        ["mail", "keyring mail/ada", "command_executor", "any", "no", failing],
        [
            "zebra", f"file {file}", "command_executor, rest_executor", "api.example.com, *.example.org", "yes",
            f"no: cannot be read: the file '{file}' {unsafe}",
        ],
    ]  # fmt: skip


@pytest.mark.parametrize("options", [["list", "--json"], ["--json", "list"]])
def test_machines_get_them_as_json(listed, options):
    first, _, last = listed(*options).json["secrets"]
    assert first == {
        "name": "api.token", "source": "env API_TOKEN", "executors": ["*"], "hosts": None, "remote": False,
        "readable": True, "why": None,
    }  # fmt: skip
    assert last["hosts"] == ["api.example.com", "*.example.org"]
    assert last["readable"] is False
    assert "has the mode 0644" in last["why"]


def test_the_options_that_all_commands_share_may_stand_after_it(apflow):
    (apflow.folder / "other.toml").write_text(SETTINGS[1])
    assert apflow("secrets", "list", "--config", "other.toml", "--json").json["secrets"][0]["name"] == "signing_key"


def test_without_a_configuration_none_is_listed(apflow):
    assert apflow("secrets", "list", "--json").json == {"secrets": []}


def test_a_configuration_that_does_not_fit_is_told_without_a_traceback(apflow):
    (apflow.folder / "apflow.toml").write_text('[secrets.known.token]\nexecutors = ["*"]\n')
    done = apflow("secrets", "list")
    assert done.code == 2
    assert "must have exactly one of env, file, keyring, and has none (from apflow.toml)" in done.err
    assert "Traceback" not in done.err


def test_the_configuration_of_the_readme_fits(apflow):
    (apflow.folder / "apflow.toml").write_text(SETTINGS[0])
    done = apflow("secrets", "list", "--json")
    assert [one["name"] for one in done.json["secrets"]] == ["api_token", "db_password", "mail"]


def test_the_example_signs_with_a_key_that_is_stored_nowhere(apflow):
    (apflow.folder / "apflow.toml").write_text(SETTINGS[1])
    done = apflow("run", HERE / "example.json", "--json", SIGNING_KEY=CANARY)
    assert done.code == 0, done.err
    (signed,) = [task for task in done.json["tasks"] if task["key"] == "sign"]
    assert signed["result"]["stdout"] == hmac.new(CANARY.encode(), b"hello", hashlib.sha256).hexdigest()
    assert signed["inputs"]["env"] == {"KEY": {"$secret": "signing_key"}}
    kept = b"".join(path.read_bytes() for path in apflow.folder.rglob("*") if path.is_file())
    assert b"signing_key" in kept
    assert CANARY.encode() not in kept


def test_the_example_says_what_is_missing(apflow):
    (apflow.folder / "apflow.toml").write_text(SETTINGS[1])
    done = apflow("run", HERE / "example.json")
    assert done.code == 1
    assert "the secret 'signing_key' cannot be read: the variable 'SIGNING_KEY' is not set" in done.out + done.err
