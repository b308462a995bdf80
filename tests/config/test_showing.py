import json
import subprocess
import sys

import pytest


def shown(settings):
    return {line.key: line.value for line in settings.lines()}


def test_every_value_is_shown_as_json(load):
    lines = shown(load(env={"APFLOW_BLOCK": "hello"}, shelf={"parts": {"left": 1}, "none": {}}))
    assert json.loads(json.dumps(lines)) == lines
    assert (lines["plugins.block"], lines["limits"], lines["shelf.parts.left"], lines["shelf.none"]) == (["hello"], {}, 1, {})


@pytest.mark.parametrize("key", ["token", "API_KEY", "client_secret", "db-password", "keys", "credentials"])
def test_secrets_are_masked(load, key):
    table = {key: "canary", "list": {key: ["canary"]}, "deep": {key: {"a": "canary"}}, "open": "seen"}
    settings = load(env={}, shelf=table)
    lines = shown(settings)
    assert "canary" not in str(lines)
    assert "canary" not in repr(settings)
    assert (lines[f"shelf.{key}"], lines["shelf.open"]) == ("***", "seen")


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://me:canary@host/db", "postgresql://me:***@host/db"),
        ("postgresql://:canary@host/db", "postgresql://:***@host/db"),
        ("postgresql://host/db?user=me&password=canary&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ("https://host/?api_token=canary", "https://host/?api_token=***"),
        ("sqlite:////data/a:b@c.db", "sqlite:////data/a:b@c.db"),
    ],
)
def test_the_password_of_a_url_is_masked(load, url, masked):
    assert shown(load(db=url))["db"] == masked


def test_reading_the_configuration_loads_nothing_heavy():
    code = "import sys, apflow.config; apflow.config.load_settings(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"cattrs", "msgspec", "tomllib", "click", "rich"} & set(loaded)
