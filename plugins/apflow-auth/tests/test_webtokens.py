"""JSON Web Tokens: which count, and every way in which one may be wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest

from apflow_auth.refusal import ExpiredToken, InvalidToken
from apflow_hookspecs import Caller

from .conftest import SECRET, guarded, told

ROLES = {"admin": ["admin"], "operator": ["read", "submit"]}


def part(value) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(header, claims, key: bytes = SECRET.encode(), digest: str = "sha256") -> str:
    """A token as nobody's library would make it, signed with a secret."""
    signed = f"{part(header)}.{part(claims)}"
    return f"{signed}.{part(hmac.digest(key, signed.encode(), digest))}"


@pytest.fixture
async def guard(kept, rsa_pair):
    """Takes what the RSA key signed."""
    async with guarded(jwt={"key_file": kept(rsa_pair.pem, 0o644), "roles": ROLES}) as guard:
        yield guard


@pytest.fixture
async def sharing(kept):
    """Takes what the secret signed."""
    async with guarded(jwt={"secret_file": kept(SECRET), "roles": ROLES}) as guard:
        yield guard


async def denied(guard, token, error=InvalidToken):
    with pytest.raises(error) as refused:
        await guard.bearer(token)
    assert type(refused.value) is error
    assert refused.value.message == error.__doc__


async def test_a_token_of_the_key_counts(guard, rsa_pair):
    assert guard.credentials == ["JSON Web Tokens (RS256)"]
    assert await guard.bearer(rsa_pair.sign(scope="read submit openid")) == Caller(
        "ada", frozenset({"read", "submit"}), "remote"
    )


async def test_a_token_of_the_secret_counts(sharing):
    assert sharing.credentials == ["JSON Web Tokens (HS256)"]
    assert await sharing.bearer(jwt.encode(told(), SECRET, "HS256")) == Caller("ada", frozenset({"read"}), "remote")
    assert await sharing.bearer(forged({"alg": "HS256"}, told()))


async def test_a_token_of_an_elliptic_curve_counts(kept, ec_pair):
    async with guarded(jwt={"key_file": kept(ec_pair.pem)}) as guard:
        assert guard.credentials == ["JSON Web Tokens (ES256)"]
        assert await guard.bearer(ec_pair.sign())


async def test_tokens_of_the_storage_count_beside_it(guard):
    assert (await guard.bearer(await guard.make("bob"))).user_id == "bob"


async def test_without_a_configuration_none_counts(rsa_pair):
    async with guarded() as guard:
        await denied(guard, rsa_pair.sign())


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "NONE", "", None, ["RS256"], {"a": 1}, 256])
async def test_a_token_without_a_signature_is_denied(guard, sharing, algorithm):
    for signature in ("", "AAAA"):
        token = f"{part({'alg': algorithm})}.{part(told(scope='admin'))}.{signature}"
        await denied(guard, token)
        await denied(sharing, token)
    await denied(sharing, forged({"alg": algorithm}, told()))


async def test_a_token_without_an_algorithm_is_denied(guard, sharing):
    await denied(guard, forged({"typ": "JWT"}, told()))
    await denied(sharing, forged({"typ": "JWT"}, told()))


async def test_the_public_key_is_no_secret(guard, rsa_pair):
    for key in (rsa_pair.pem, rsa_pair.pem.strip(), rsa_pair.pem.replace(b"\n", b"")):
        await denied(guard, forged({"alg": "HS256"}, told(), key))
        await denied(guard, forged({"alg": "RS256"}, told(), key))


async def test_an_algorithm_that_was_not_configured_is_denied(guard, sharing, rsa_pair):
    await denied(guard, jwt.encode(told(), rsa_pair.private, "RS512"))
    await denied(guard, jwt.encode(told(), rsa_pair.private, "PS256"))
    await denied(sharing, forged({"alg": "HS512"}, told(), digest="sha512"))


async def test_another_key_is_denied(guard, sharing, other_rsa_pair):
    await denied(guard, other_rsa_pair.sign())
    await denied(sharing, forged({"alg": "HS256"}, told(), b"x" * 32))
    await denied(sharing, forged({"alg": "HS256"}, told(), b""))


async def test_what_was_changed_after_signing_is_denied(guard, rsa_pair):
    header, claims, signature = rsa_pair.sign().split(".")
    await denied(guard, f"{header}.{part(told(scope='admin'))}.{signature}")
    await denied(guard, f"{part({'alg': 'RS256', 'typ': 'JWT', 'kid': 'a'})}.{claims}.{signature}")
    await denied(guard, f"{header}.{claims}.{signature[:-8]}")
    await denied(guard, f"{header}.{claims}.")
    await denied(guard, f"{header}.{claims}")


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "http://127.0.0.1:1/keys"}, {"x5u": "http://127.0.0.1:1/keys"}, {"jwk": {"kty": "oct", "k": part(b"x" * 32)}},
        {"x5c": ["AAAA"]}, {"crit": ["exp"]}, {"crit": ["b64"], "b64": True}, {"crit": []}, {"b64": False}, {"cty": "JWT"},
        {"zip": "DEF"}, {"enc": "A256GCM"}, {"kid": 1}, {"kid": None, "jku": None}, {"kid": ["a"]}, {"apflow": 1},
    ],
)  # fmt: skip
async def test_a_header_that_asks_for_more_is_denied_also_where_the_signature_is_right(sharing, header):
    await denied(sharing, forged({"alg": "HS256", **header}, told()))


@pytest.mark.parametrize("key_id", ["../../dev/null", "/dev/null", "http://127.0.0.1:1/", "' OR 1=1 --", "\x00"])
async def test_the_id_of_a_key_is_never_followed(guard, sharing, rsa_pair, key_id):
    await denied(guard, forged({"alg": "HS256", "kid": key_id}, told(), b""))
    await denied(sharing, forged({"alg": "HS256", "kid": key_id}, told(), b""))
    assert await guard.bearer(rsa_pair.sign({"kid": key_id}))


async def test_it_counts_to_its_end_and_the_leeway(guard, rsa_pair):
    at = int(time.time())
    assert await guard.bearer(rsa_pair.sign(exp=at - 5))
    await denied(guard, rsa_pair.sign(exp=at - 3600), ExpiredToken)
    await denied(guard, rsa_pair.sign(exp=0), ExpiredToken)
    await denied(guard, rsa_pair.sign(exp=-1), ExpiredToken)


async def test_who_did_not_sign_it_does_not_hear_that_it_has_expired(guard, other_rsa_pair):
    await denied(guard, other_rsa_pair.sign(exp=1))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["4000000000", "", "never", [4_000_000_000], {}, float("nan"), float("-inf")])
async def test_times_that_are_no_numbers_are_denied(sharing, name, value):
    await denied(sharing, forged({"alg": "HS256"}, told(**{name: value})))


@pytest.mark.parametrize("raw", ["1e400", "-1e400", "Infinity", "1" + "0" * 5000, "null", "true"])
async def test_an_end_that_never_comes_is_denied(sharing, raw):
    claims = f'{{"sub": "ada", "scope": "read", "exp": {raw}}}'.encode()
    with pytest.raises((InvalidToken, ExpiredToken)):
        await sharing.bearer(forged({"alg": "HS256"}, claims))


async def test_times_to_come_are_denied(guard, rsa_pair):
    later = int(time.time()) + 3600
    await denied(guard, rsa_pair.sign(nbf=later))
    await denied(guard, rsa_pair.sign(iat=later))
    assert await guard.bearer(rsa_pair.sign(nbf=int(time.time()), exp=time.time() + 60.5))


@pytest.mark.parametrize("claim", ["exp", "sub"])
async def test_an_end_and_a_subject_are_required(guard, rsa_pair, claim):
    await denied(guard, rsa_pair.sign(**{claim: None}))


@pytest.mark.parametrize("subject", [None, "", ["ada"], 1, True, {"a": "b"}, "a" * 256, "a\nb", "a\x00", "\ud800"])
async def test_a_subject_that_is_no_name_is_denied(sharing, subject):
    await denied(sharing, forged({"alg": "HS256"}, {**told(), "sub": subject}))


@pytest.mark.parametrize(
    "claims", [b"[]", b"null", b'"ada"', b"1", b"", b"{", b"\xff", b"[" * 10_000, b'{"a":' * 2000, b'{"exp": NaN}']
)
async def test_claims_that_are_no_object_are_denied(sharing, claims):
    await denied(sharing, forged({"alg": "HS256"}, claims))


@pytest.mark.parametrize("header", [b"[]", b"null", b'"HS256"', b"", b"{", b"\xff", b"[" * 10_000, b'{"alg":' * 2000])
async def test_a_header_that_is_no_object_is_denied(sharing, header):
    await denied(sharing, forged(header, told()))


@pytest.mark.parametrize("token", [".", "..", "...", "....", "a.b.c", "a.b.c.d.e", "=.=.=", "a" * 100])
async def test_what_is_no_token_at_all_is_denied(guard, sharing, token):
    await denied(guard, token)
    await denied(sharing, token)


async def test_an_encrypted_token_is_denied(sharing):
    header = part({"alg": "dir", "enc": "A256GCM", "cty": "JWT"})
    await denied(sharing, f"{header}..{part(b'0' * 12)}.{part(b'x' * 40)}.{part(b't' * 16)}")
    await denied(sharing, f"{header}.{part(forged({'alg': 'HS256'}, told()).encode())}.AAAA")


async def test_a_token_of_100_kilobytes_is_denied(guard, rsa_pair):
    await denied(guard, rsa_pair.sign(padding="a" * 100_000))


async def test_audience_and_issuer_have_to_be_the_configured_ones(kept, rsa_pair):
    options = {"key_file": kept(rsa_pair.pem), "audience": "apflow", "issuer": "https://id.example.org"}
    right = {"aud": "apflow", "iss": "https://id.example.org"}
    async with guarded(jwt=options) as guard:
        assert await guard.bearer(rsa_pair.sign(**right))
        assert await guard.bearer(rsa_pair.sign(**{**right, "aud": ["other", "apflow"]}))
        for wrong in ({"aud": "apflow2"}, {"aud": None}, {"aud": []}, {"aud": ["x"]}, {"aud": {"apflow": 1}}, {"aud": ""}):
            await denied(guard, rsa_pair.sign(**{**right, **wrong}))
        for wrong in ("https://id.example.org/", "https://id.example.org.evil", None, ""):
            await denied(guard, rsa_pair.sign(**{**right, "iss": wrong}))
        for issuer in (["https://id.example.org"], 1):  # no library would sign that
            await denied(guard, _odd_issuer(rsa_pair, {**told(**right), "iss": issuer}))


def _odd_issuer(pair, claims) -> str:
    return jwt.PyJWS().encode(json.dumps(claims).encode(), pair.private, "RS256")


async def test_a_token_for_somebody_else_is_denied_where_no_audience_is_configured(guard, rsa_pair):
    await denied(guard, rsa_pair.sign(aud="the-payroll"))


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "read"}, {"read"}),
        ({"scope": ["read", "cancel"]}, {"read", "cancel"}),
        ({"scope": "admin"}, {"admin"}),
        ({"scope": "administrator noadmin admin2 Admin ADMIN sys:admin admin,read"}, set()),
        ({"scope": ["admin read"]}, set()),
        ({"scope": {"admin": True}}, set()),
        ({"scope": [["admin"], None, 1]}, set()),
        ({"scope": True}, set()),
        ({"scope": None}, set()),
        ({"scope": None, "roles": "admin"}, {"admin"}),
        ({"scope": None, "roles": ["guest", "operator"]}, {"read", "submit"}),
        ({"scope": "cancel", "roles": ["operator"]}, {"read", "submit", "cancel"}),
        ({"scope": None, "roles": "sysadmin"}, set()),
        ({"scope": None, "roles": "admin operator"}, set()),
        ({"scope": None, "roles": "not admin"}, set()),
        ({"scope": None, "roles": ["Admin", "adm\u0131n", "admin "]}, set()),
        ({"scope": None, "roles": {"admin": 1}}, set()),
        ({"scope": None, "roles": [{"admin": 1}, ["admin"], None]}, set()),
        ({"scope": None, "roles": None}, set()),
    ],
)
async def test_scopes_and_roles_count_word_for_word(guard, rsa_pair, claims, scopes):
    assert (await guard.bearer(rsa_pair.sign(**claims))).scopes == scopes


async def test_other_claims_may_be_the_ones_that_count(kept, rsa_pair):
    options = {"key_file": kept(rsa_pair.pem), "user_claim": "email", "scopes_claim": "scp", "roles_claim": "groups"}
    async with guarded(jwt={**options, "roles": {"ops": ["cancel"]}}) as guard:
        token = rsa_pair.sign(email="ada@example.org", scp=["read"], groups=["ops"], scope="admin", roles="admin")
        assert await guard.bearer(token) == Caller("ada@example.org", frozenset({"read", "cancel"}))
        await denied(guard, rsa_pair.sign(email=["ada@example.org"]))
        await denied(guard, rsa_pair.sign())


async def test_a_denial_never_tells_the_secret_nor_the_token(sharing, caplog):
    token = forged({"alg": "HS256"}, told(exp=1))
    with caplog.at_level("DEBUG"), pytest.raises(ExpiredToken):
        await sharing.bearer(token)
    assert SECRET not in caplog.text + repr(sharing.plugin.__dict__) + repr(sharing.plugin._gate)
    assert token not in caplog.text
    assert hashlib.sha256(SECRET.encode()).hexdigest() not in caplog.text
