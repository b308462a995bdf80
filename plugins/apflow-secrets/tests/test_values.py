"""Where values come from, and which are none."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from apflow_secrets.options import Secret

from .conftest import CANARY


class Ring(KeyringBackend):
    """A keyring in memory, as keyring documents it (keyring.readthedocs.io, "Write your own keyring backend")."""

    priority = 1

    def __init__(self):
        super().__init__()
        self.entries = {}
        self.locked = False
        self.asked_in = None

    def get_password(self, service, username):
        self.asked_in = threading.current_thread()
        if self.locked:
            raise KeyringLocked(f"will not tell {self.entries}")
        return self.entries.get((service, username))

    def set_password(self, service, username, password):
        self.entries[service, username] = password


@pytest.fixture
def ring():
    before = keyring.get_keyring()
    ring = Ring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


async def test_a_variable_is_read(asking):
    assert await asking(env="API_TOKEN").value() == CANARY


async def test_a_variable_is_read_anew_each_time(asking, monkeypatch):
    ask = asking(env="API_TOKEN")
    await ask.value()
    monkeypatch.setenv("API_TOKEN", "another one")
    assert await ask.value() == "another one"


async def test_a_variable_that_is_not_set_denies(asking, monkeypatch):
    monkeypatch.delenv("API_TOKEN")
    told = "the secret 'token' cannot be read: the variable 'API_TOKEN' is not set"
    assert await asking(env="API_TOKEN").refusal() == told


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
async def test_a_file_is_read_without_the_line_break_at_its_end(asking, kept, ending):
    assert await asking(file=str(kept(CANARY + ending))).value() == CANARY


async def test_only_one_line_break_is_none_of_it(asking, kept):
    assert await asking(file=str(kept("-----BEGIN-----\nabc\n\n"))).value() == "-----BEGIN-----\nabc\n"


async def test_a_file_is_read_anew_each_time(asking, kept):
    ask = asking(file=str(kept()))
    await ask.value()
    kept("another one")
    assert await ask.value() == "another one"


async def test_a_link_is_followed_as_mounted_secrets_are_links(asking, kept, tmp_path):
    (tmp_path / "..data").symlink_to(kept().parent)
    (tmp_path / "link").symlink_to("..data/token")
    assert await asking(file=str(tmp_path / "link")).value() == CANARY


async def test_what_counts_is_the_mode_of_what_a_link_leads_to(asking, kept, tmp_path):
    (tmp_path / "link").symlink_to(kept(mode=0o644))
    assert "has the mode 0644" in await asking(file=str(tmp_path / "link")).refusal()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
async def test_a_file_that_others_may_read_or_write_is_refused_with_its_mode_and_what_to_do(asking, kept, mode):
    path = kept(mode=mode)
    rule = "group and others must not read or write it (chmod 600, or check_mode = false)"
    told = f"the secret 'token' cannot be read: the file '{path}' has the mode {mode:04o}, and {rule}"
    assert await asking(file=str(path)).refusal() == told
    assert await asking(file=str(path), check_mode=False).value() == CANARY


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("check_mode", [True, False])
async def test_a_file_of_another_user_is_refused(asking, kept, check_mode):
    path = kept()
    os.chown(path, 12345, -1)
    told = f"the file '{path}' must be owned by root or the user 0, and is by the user 12345"
    assert told in await asking(file=str(path), check_mode=check_mode).refusal()


async def test_a_fifo_is_refused_and_not_waited_for(asking, tmp_path):
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert await asking(file=str(tmp_path / "fifo")).refusal() == (
        f"the secret 'token' cannot be read: the file '{tmp_path}/fifo' is not a regular file"
    )


@pytest.mark.parametrize("path", ["/dev/zero", "/"])
async def test_what_is_no_regular_file_is_refused(asking, path):
    assert f"the file '{path}' is not a regular file" in await asking(file=path).refusal()


async def test_a_socket_is_refused(asking, tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        assert "No such device or address" in await asking(file=str(tmp_path / "s")).refusal()


async def test_a_file_that_is_gone_denies(asking, tmp_path):
    told = f"the secret 'token' cannot be read: the file '{tmp_path}/gone': No such file or directory"
    assert await asking(file=f"{tmp_path}/gone").refusal() == told


async def test_a_file_may_have_64_kib_and_no_more(asking, kept):
    assert len(await asking(file=str(kept("x" * 65_536))).value()) == 65_536
    assert "has more than 65,536 bytes" in await asking(file=str(kept("x" * 65_537))).refusal()


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"c4n4r", "has fewer than 6 characters, and could not be kept out of what is stored"),
        (b"c4n4ry\0c4n4ry", "has a NUL in it"),
        (b"c4n4ry\xff", "is not UTF-8"),
        (b"\xed\xa0\x80c4n4ry", "is not UTF-8"),
    ],
)
async def test_a_value_that_cannot_be_used_is_refused_without_being_shown(asking, kept, content, rule):
    path = kept(content)
    told = await asking(file=str(path)).refusal()
    assert told == f"the secret 'token' cannot be used: what file {path} holds {rule}"


async def test_the_keyring_is_asked_in_a_thread(asking, ring):
    ring.set_password("https://host/api", "ada", CANARY)
    assert await asking(keyring="https://host/api/ada").value() == CANARY
    assert ring.asked_in is not threading.main_thread()


async def test_an_entry_that_the_keyring_does_not_have_denies(asking, ring):
    told = "the secret 'token' cannot be read: the keyring has no 'service/user'"
    assert await asking(keyring="service/user").refusal() == told


async def test_of_a_keyring_that_fails_only_the_kind_of_error_is_told(asking, ring, caplog):
    ring.set_password("service", "user", CANARY)
    ring.locked = True
    told = "the secret 'token' cannot be read: the keyring failed for 'service/user' with KeyringLocked"
    assert await asking(keyring="service/user").refusal() == told
    assert CANARY not in caplog.text


async def test_without_keyring_it_is_told_what_brings_it(asking, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    told = "the secret 'token' cannot be read: keyring is not installed; apflow-secrets[keyring] brings it"
    assert await asking(keyring="service/user").refusal() == told


async def test_a_denial_is_a_line_in_the_log_with_the_reason_that_outsiders_do_not_get(asking, tmp_path, caplog):
    ask = asking(file=f"{tmp_path}/gone", remote=True)
    told = await ask.refusal(origin="remote")
    assert told == "the secret 'token' cannot be read at present; the log of the operator says why"
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert record.getMessage() == f"the secret 'token' cannot be read: the file '{tmp_path}/gone': No such file or directory"
    assert record.task_key == "t"


def test_what_the_operator_says_holds_no_value(monkeypatch):
    monkeypatch.setenv("API_TOKEN", CANARY)
    assert CANARY not in repr(Secret(env="API_TOKEN", executors=("take",)))
