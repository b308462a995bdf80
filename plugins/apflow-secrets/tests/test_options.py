"""The section of the configuration."""

from __future__ import annotations

import pytest

from apflow_hookspecs.errors import ConfigError

from .conftest import knowing


async def told(**options):
    """Why an engine does not open."""
    with pytest.raises(ConfigError) as refused:
        async with knowing({"token": {"executors": ["take"], **options}}):
            pass
    return str(refused.value)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({}, "must have exactly one of env, file, keyring, and has none"),
        ({"env": "A", "file": "/a"}, "must have exactly one of env, file, keyring, and has env and file"),
        ({"env": ""}, "env = '': must be the name of a variable"),
        ({"env": "A=B"}, "env = 'A=B': must be the name of a variable"),
        ({"file": "token"}, "file = 'token': must be an absolute path"),
        ({"file": "~/token"}, "file = '~/token': must be an absolute path"),
        ({"keyring": "service"}, "keyring = 'service': must be service/user"),
        ({"keyring": "service/"}, "keyring = 'service/': must be service/user"),
        ({"env": "A", "executors": []}, "executors = []: must name those that may have it, or '*' for all"),
        ({"env": "A", "hosts": []}, "hosts = []: must name a host"),
        ({"env": "A", "hosts": ["https://a.example"]}, "hosts: 'https://a.example' must be the name of a host"),
        ({"env": "A", "hosts": ["*"]}, "hosts: '*' must be the name of a host"),
        ({"env": "A", "hosts": ["a.example:80"]}, "hosts: 'a.example:80' must be the name of a host"),
        ({"env": "A", "hosts": ["a.*.example"]}, "hosts: 'a.*.example' must be the name of a host"),
        ({"env": "A", "hosts": "a.example"}, "must be an array"),
        ({"env": "A", "remote": "yes"}, "must be true or false"),
        ({"env": "A", "evn": "B"}, "evn"),
    ],
)
async def test_what_does_not_fit_keeps_the_engine_from_opening(options, rule):
    message = await told(**options)
    assert "secrets.known.token" in message
    assert rule in message


async def test_executors_are_needed():
    with pytest.raises(ConfigError, match=r"secrets\.known\.token\.executors.*is missing"):
        async with knowing({"token": {"env": "A"}}):
            pass


@pytest.mark.parametrize("name", ["", "a b", "é", "x" * 129, "a\n"])
async def test_a_name_is_of_plain_characters(name):
    with pytest.raises(ConfigError, match=r"must be 1 to 128 of A-Z, a-z, 0-9, '\.', '_', '-'"):
        async with knowing({name: {"env": "A", "executors": ["take"]}}):
            pass


async def test_without_a_section_nothing_is_known():
    from apflow.testing import engine_of
    from apflow_secrets import Secrets

    async with engine_of(plugins={"secrets": Secrets()}) as engine:
        (plugin,) = [plugin for plugin in engine.host.plugins if plugin.name == "secrets"]
    assert set(plugin.hooks) == {"apflow_commands", "apflow_resolve_secret", "apflow_startup", "apflow_validate_task"}
