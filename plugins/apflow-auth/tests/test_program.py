"""`apflow token`, by itself and while a server has the storage open, and the server as it is started."""

from __future__ import annotations

import re
import subprocess
from contextlib import closing

import httpx
import pytest
from programs import Program, Running

from .conftest import SECRET


@pytest.fixture
def apflow(tmp_path):
    (tmp_path / "plugins").mkdir()
    return Program(tmp_path, tmp_path / "plugins")


@pytest.fixture
def serve(apflow):
    """Start the server, and say where it is."""
    started = []

    def start(*arguments, **environment):
        process = apflow.start(
            "serve", "--port", "0", *arguments,
            environment={**apflow.environment, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(Running(process))
        return re.search(r"http://\S+:\d+", started[-1].until("http://"))[0]

    yield start
    for running in started:
        with closing(running):
            pass


def made(apflow, *options):
    done = apflow("token", "create", *options)
    assert done.code == 0, done.err
    assert re.fullmatch(r"apf_[0-9a-f]{16}_[A-Za-z0-9_-]{43}\n", done.out)
    return done.out.strip()


def asked(url, token=None, path="/tasks"):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.get(url + path, headers=headers, trust_env=False)


def test_a_token_is_printed_alone_and_explained_beside_it(apflow):
    done = apflow("token", "create", "--user", "ada", "--scope", "read")
    assert re.fullmatch(r"apf_[0-9a-f]{16}_[A-Za-z0-9_-]{43}\n", done.out)
    assert done.err == f"It is shown only now. Its id is {done.out[4:20]}, and it never expires.\n"


def test_machines_get_all_of_it_as_json(apflow):
    done = apflow("token", "create", "--user", "ada", "--scope", "submit", "--scope", "read", "--expires", "30d", "--json")
    told = done.json
    assert told["token"].startswith(f"apf_{told['id']}_")
    assert (told["user_id"], told["scopes"], told["expired"], told["name"]) == ("ada", ["read", "submit"], False, None)
    assert told["expires_at"] > told["created_at"]


def test_tokens_are_listed_and_revoked_but_never_shown_again(apflow):
    first = made(apflow, "--user", "ada", "--scope", "read", "--scope", "submit", "--name", "the cron\x1b[2J line")
    second = made(apflow, "--scope", "admin", "--expires", "12h")
    done = apflow("token", "list")
    header, *rows = [re.split(r"\s{2,}", line) for line in done.out.splitlines()]
    assert header == ["ID", "USER", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "NAME"]
    assert [row[0] for row in rows] == [first[4:20], second[4:20]]
    assert rows[0][1:3] == ["ada", "read, submit"]
    assert rows[0][-1] == r"the cron\x1b[2J line"
    assert not {first[21:], second[21:]} & set(re.split(r"\s+", done.out))
    assert apflow("token", "revoke", first[4:20]).out == f"revoked {first[4:20]}\n"
    assert [token["id"] for token in apflow("token", "list", "--json").json["tokens"]] == [second[4:20]]
    again = apflow("token", "revoke", first[4:20])
    assert (again.code, again.err) == (2, f"error: there is no token '{first[4:20]}'\n")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([], "Missing option '--scope'"),
        (["--user", "ada"], "Missing option '--scope'"),
        (["--scope", "root"], "'root' is not one of 'admin', 'cancel', 'read', 'submit'"),
        (["--scope", "read,submit"], "'read,submit' is not one of"),
        (["--scope", "read"], "user_id = None: must be given; only a token with the scope 'admin' can do without a user"),
        (["--scope", "read", "--user", ""], "user_id = '': must be"),
        (["--scope", "read", "--user", "a" * 256], "must be"),
        (["--scope", "read", "--user", "ada", "--expires", "soon"], "'soon' is no duration: a whole number with one of s"),
        (["--scope", "read", "--user", "ada", "--expires", "-1d"], "'-1d' is no duration"),
        (["--scope", "read", "--user", "ada", "--expires", "30"], "'30' is no duration"),
        (["--scope", "read", "--user", "ada", "--expires", "0s"], "expires_in = 0.0: must be"),
        (["--scope", "read", "--user", "ada", "--expires", "999999999w"], "must be"),
    ],
)  # fmt: skip
def test_what_cannot_be_granted_is_refused_by_name(apflow, options, why):
    done = apflow("token", "create", *options)
    assert (done.code, done.out) == (2, "")
    assert why in done.err
    assert "Traceback" not in done.err


def test_while_a_server_runs_tokens_are_made_and_revoked_through_it(apflow, serve):
    admin = made(apflow, "--scope", "admin")
    url = serve()
    assert asked(url).status_code == 401
    assert asked(url, admin).status_code == 200
    ada = made(apflow, "--user", "ada", "--scope", "read")
    assert asked(url, ada).status_code == 200
    listed = apflow("token", "list", "--json").json["tokens"]
    assert [token["last_used_at"] is not None for token in listed] == [True, True]
    apflow("token", "revoke", ada[4:20])
    denied = asked(url, ada)
    assert denied.status_code == 401
    assert denied.headers["WWW-Authenticate"].startswith("Bearer")
    assert denied.json()["error"]["message"] == "The token is invalid."
    apflow("token", "revoke", admin[4:20])
    assert asked(url).status_code == 401  # the last one is gone, and nobody comes in


def test_with_a_token_the_server_may_listen_to_the_network(apflow, serve):
    refused = apflow("serve", "--host", "0.0.0.0", "--port", "0")  # noqa: S104 - it is refused
    assert refused.code == 2
    token = made(apflow, "--scope", "admin")
    url = serve("--host", "0.0.0.0").replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - that is the point
    assert asked(url).status_code == 401
    assert asked(url, token).status_code == 200


def test_a_credential_that_is_required_keeps_out_everybody_until_there_is_one(apflow, serve):
    (apflow.folder / "apflow.toml").write_text("[auth]\nrequired = true\n")
    url = serve()
    assert asked(url).status_code == 401
    assert asked(url, made(apflow, "--scope", "admin")).status_code == 200


@pytest.mark.parametrize("secret", ["", "x"])
def test_a_secret_that_is_too_short_keeps_the_server_from_starting(apflow, secret):
    (apflow.folder / "apflow.toml").write_text('[auth.jwt]\nsecret_env = "JWT_SECRET"\n')
    done = apflow("serve", "--port", "0", JWT_SECRET=secret)
    assert (done.code, done.out) == (2, "")
    assert f"auth.jwt.secret_env = 'JWT_SECRET': the secret has {len(secret)} bytes, and HS256 need at least 32" in done.err
    assert "Traceback" not in done.err


def test_a_secret_that_is_only_in_the_environment_guards_the_server(apflow, serve):
    import jwt

    from .conftest import told

    (apflow.folder / "apflow.toml").write_text('[auth.jwt]\nsecret_env = "JWT_SECRET"\n')
    url = serve(JWT_SECRET=SECRET)
    assert asked(url).status_code == 401
    assert asked(url, jwt.encode(told(), SECRET, "HS256")).status_code == 200
    assert asked(url, jwt.encode(told(), "x" * 32, "HS256")).status_code == 401


def test_without_the_server_its_plugin_is_on_all_the_same(apflow):
    done = apflow("plugins", "list", "--json", "--block", "server")
    states = {plugin["name"]: plugin["state"] for plugin in done.json["plugins"]}
    assert (states["auth"], states["server"]) == ("on", "blocked")
