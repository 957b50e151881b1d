"""Tests of JSON web tokens from an identity provider, over the real application and with real keys."""

from __future__ import annotations

import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
import respx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from tests.support.http_stack import NAME, check_answer, http_stack
from tests.support.identity_provider import (
    ISSUER,
    Provider,
    by_hand,
    claims,
    ec_key,
    identity_provider,
    jwk,
    rsa_key,
    signed,
)
from tests.support.seconds import Seconds
from workflow_core.domain.access import Access, Grant, Role
from workflow_core.domain.caller import Caller
from workflow_core.errors import ConfigurationError, IdentityProviderUnavailable
from workflow_core.fakes.tokens import InMemoryTokens
from workflow_core.testing.together import together
from workflow_core.usecases.commands.tokens import CreateToken, create_token
from workflow_entrypoints.http.auth import Authentication, AuthRequest, jwks
from workflow_entrypoints.http.auth.jwks import COOL_DOWN, MAX_WAITING, RENEW_AFTER, RENEW_AGAIN, KeySet, usable_keys
from workflow_entrypoints.settings import Settings, described, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from httpx import Response

    from tests.support.http_stack import Stack

GRANTS = [
    {"who": "user@example.com", "role": "author", "team": "@data-eng"},
    {"who": "group:data", "role": "operator", "names": "iceberg.*"},
    {"who": "*", "role": "viewer"},
    {"who": "other@example.com", "role": "admin"},
]


@pytest.fixture(scope="module")
def running():
    with identity_provider() as provider:
        yield provider


@pytest.fixture
def provider(running):
    """The identity provider in its initial state."""
    running.keys, running.paths = Provider().keys, []
    running.is_held.set()
    return running


@pytest.fixture
def stack(provider):
    with http_stack(**provider.settings, grants=json.dumps(GRANTS)) as made:
        made.register()
        yield made


def request_with(stack: Stack, token: str, **given: Any) -> Response:
    answer = stack.client.get("/api/v1/workflows", headers={"Authorization": f"Bearer {token}"}, **given)
    check_answer(answer)
    return answer


def recorded_caller(stack: Stack, token: str) -> str:
    """The name of the caller that is recorded for this token."""
    answer = stack.post(f"{NAME}/run", {}, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["triggered_by"])


def public_pem() -> bytes:
    return rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_a_valid_token_identifies_the_caller(stack):
    """Tokens signed with RS256 or ES256 are accepted with each of the usual values of ``typ``."""
    assert recorded_caller(stack, signed()) == "user@example.com"
    assert recorded_caller(stack, signed(ec_key(), "ES256", "ec")) == "user@example.com"
    assert recorded_caller(stack, signed(headers={"typ": "at+jwt"}, aud=["other", "workflows"])) == "user@example.com"


def _swapped() -> str:
    header, _, signature = signed().split(".")
    return f"{header}.{signed(sub='admin').split('.')[1]}.{signature}"


ATTACKS: dict[str, Callable[[], str]] = {
    "alg none": lambda: by_hand({"alg": "none", "typ": "JWT"}, claims()),
    "alg none, with a key": lambda: by_hand({"alg": "none", "kid": "rsa"}, claims()),
    "alg NonE": lambda: by_hand({"alg": "NonE", "kid": "rsa"}, claims()),
    "no alg": lambda: by_hand({"kid": "rsa"}, claims()),
    "alg a list": lambda: by_hand({"alg": ["RS256"], "kid": "rsa"}, claims()),
    "key confusion: HS256 with the public key in PEM": lambda: by_hand(
        {"alg": "HS256", "kid": "rsa"}, claims(), public_pem()
    ),
    "key confusion: HS256 with the published key": lambda: by_hand(
        {"alg": "HS256", "kid": "rsa"}, claims(), json.dumps(jwk(rsa_key(), "rsa")).encode()
    ),
    "HS256 with nothing": lambda: by_hand({"alg": "HS256", "kid": "rsa"}, claims(), b""),
    "a good algorithm that is not allowed": lambda: signed(alg="RS512"),
    "RSA key under ES256": lambda: by_hand({"alg": "ES256", "kid": "rsa"}, claims(), b"x"),
    "another's key": lambda: signed(rsa_key("eve")),
    "another's EC key": lambda: signed(ec_key("eve"), "ES256", "ec"),
    "jwk in the header": lambda: signed(rsa_key("eve"), headers={"jwk": jwk(rsa_key("eve"), "rsa")}),
    "x5c in the header": lambda: signed(rsa_key("eve"), headers={"x5c": ["MIIB"]}),
    "crit": lambda: signed(headers={"crit": ["exp"]}),
    "b64": lambda: signed(headers={"crit": ["b64"], "b64": False}),
    "a logout token": lambda: signed(headers={"typ": "logout+jwt"}),
    "typ null": lambda: by_hand({"alg": "RS256", "kid": "rsa", "typ": None}, claims()),
    "no kid": lambda: jwt.encode(claims(), rsa_key(), algorithm="RS256"),
    "kid a number": lambda: by_hand({"alg": "RS256", "kid": 1}, claims()),
    "kid a path": lambda: signed(kid="../../../../dev/null"),
    "kid a query": lambda: signed(kid="' OR '1'='1"),
    "wrong audience": lambda: signed(aud="other"),
    "no audience": lambda: signed(aud=None),
    "audience nearly": lambda: signed(aud=["workflow", "workflows "]),
    "wrong issuer": lambda: signed(iss="https://evil.example.com"),
    "issuer nearly": lambda: signed(iss=ISSUER + "/"),
    "no issuer": lambda: signed(iss=None),
    "expired": lambda: signed(exp=int(time.time()) - 31),
    "no expiry": lambda: signed(exp=None),
    "expiry a text": lambda: signed(exp="never"),
    "expiry infinite": lambda: signed(exp=float("inf")),
    "not yet": lambda: signed(nbf=int(time.time()) + 90),
    "made in the future": lambda: signed(iat=int(time.time()) + 90),
    "no subject": lambda: signed(sub=None),
    "subject empty": lambda: signed(sub=""),
    "subject a list": lambda: signed(sub=["user@example.com"]),
    "subject of an API token": lambda: signed(sub="token:ci"),
    "subject a group": lambda: signed(sub="group:data"),
    "subject of all callers": lambda: signed(sub="*"),
    "subject the system": lambda: signed(sub="system"),
    "subject of two lines": lambda: signed(sub="user\nINFO forged"),
    "claims a list": lambda: by_hand({"alg": "RS256", "kid": "rsa"}, [1]),
    "header a list": lambda: by_hand(["RS256"], claims()),
    "header very deep": lambda: by_hand(json.loads("[" * 500 + "]" * 500), {}),
    "one part": lambda: "eyJhbGciOiJSUzI1NiJ9",
    "two parts": lambda: signed().rpartition(".")[0],
    "no signature": lambda: signed().rpartition(".")[0] + ".",
    "four parts": lambda: signed() + ".x",
    "signature cut": lambda: signed()[:-8],
    "other claims under the signature": _swapped,
    "oversized": lambda: signed(x="x" * 9000),
    "twice": lambda: f"{signed()},{signed()}",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_forged_token_is_rejected(stack, attack, caplog):
    """The answer is 401 with the same body as without a credential, and no part of the token is in the log."""
    caplog.set_level(logging.DEBUG)
    token = ATTACKS[attack]()
    answer = request_with(stack, token)
    assert answer.status_code == 401
    assert answer.json()["detail"] == stack.client.get("/api/v1/workflows").json()["detail"]
    assert answer.headers["www-authenticate"] == "Bearer"
    message = "\n".join(str(record.__dict__) for record in caplog.records)
    assert ("not authenticated: " in message, token[-40:] in message, token[:40] in message) == (True, False, False)


def test_clock_skew_within_the_leeway_is_accepted(stack):
    """The leeway is a setting with a default of 30 s."""
    now = int(time.time())
    assert request_with(stack, signed(exp=now - 20, nbf=now + 20, iat=now + 20)).status_code == 200


def test_a_key_url_in_the_header_is_never_fetched(stack, provider):
    """``jku`` and ``x5u`` are ignored: the foreign key set is not fetched, and its key is not trusted."""
    with identity_provider() as foreign:
        foreign.keys = [jwk(rsa_key("eve"), "rsa"), jwk(rsa_key("eve"), "eve")]
        for kid in ("rsa", "eve"):
            headers = {"jku": f"{foreign.url}/jwks", "x5u": f"{foreign.url}/x5u"}
            assert request_with(stack, signed(rsa_key("eve"), kid=kid, headers=headers)).status_code == 401
        assert foreign.paths == []
    assert set(provider.paths) == {"/jwks"}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"email": "a@b.c", "email_verified": True}, 200),
        ({"email": "a@b.c", "email_verified": False}, 401),
        ({"email": "a@b.c", "email_verified": "true"}, 401),
        ({"email": "a@b.c", "email_verified": 1}, 401),
        ({"email": "a@b.c"}, 401),
        ({"email_verified": True}, 401),
    ],
)
def test_an_email_identifies_the_caller_only_if_verified(provider, changes, status):
    """An unverified email is not accepted, because a user can enter the address of another person."""
    with http_stack(**provider.settings, jwt_name_claim="email") as stack:
        assert request_with(stack, signed(**changes)).status_code == status


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [0, 2]),
        ({"groups": ["data", "x"]}, [0, 1, 2]),
        ({"groups": "data"}, [0, 1, 2]),
        ({"sub": "z", "groups": ["data"]}, [1, 2]),
        ({"sub": "z", "groups": ["Data", "data ", "group:data", "user@example.com", 1, None, ["data"]]}, [2]),
        ({"sub": "z", "groups": {"data": True}}, [2]),
        ({"sub": "data"}, [2]),
        ({"sub": "z", "role": "admin", "roles": ["admin"], "grants": GRANTS}, [2]),
    ],
)
def test_grants_come_from_the_settings(provider, changes, expected):
    """Grants apply by name, by group and to all callers; claims about roles in the token are ignored. Users may operate
    what they own.
    """
    authentication = Authentication.of(Settings(**provider.settings, grants=json.dumps(GRANTS)), None, lambda: None)  # type: ignore[arg-type, return-value]
    assert authentication is not None
    header = f"Bearer {signed(**changes)}".encode()
    identity = authentication.identify(AuthRequest(headers=[(b"authorization", header)], peer="127.0.0.1"))
    authentication.close()
    rules = Settings(grants=json.dumps(GRANTS)).grant_rules
    assert identity.access == Access(grants=tuple(rules[number].grant for number in expected), owns=True)


def test_api_tokens_and_jwts_are_accepted_side_by_side(provider):
    """A user whose name equals that of a token is a different caller."""
    tokens = InMemoryTokens()
    grants = json.dumps([{"who": "ci", "role": "operator"}])
    with http_stack(**{**provider.settings, "auth": "token,jwt"}, grants=grants, tokens=tokens) as stack:
        stack.register()
        command = CreateToken(name="ci", grants=(Grant(role=Role.ADMIN),), caller=Caller(name="x"))
        _, text = create_token(command, tokens, stack.clock)
        assert recorded_caller(stack, text) == "token:ci"
        assert recorded_caller(stack, signed(sub="ci")) == "ci"
        assert request_with(stack, signed(sub="token:ci")).status_code == 401


def test_an_api_token_is_rejected_where_only_jwts_are_configured(stack):
    """An API token is not a JSON web token."""
    assert request_with(stack, f"dli_{'0' * 16}_{'0' * 64}").status_code == 401


@pytest.fixture
def clock():
    return Seconds()


@pytest.fixture
def keys(provider, clock):
    made = KeySet(f"{provider.url}/jwks", ["RS256", "ES256"], monotonic=clock)
    yield made
    made.close()


def test_keys_are_fetched_once_for_many_tokens(keys, provider, clock):
    """Keys are cached for minutes."""
    for _ in range(50):
        assert keys.key("rsa", "RS256")
        clock.now += 5
    assert provider.fetches == 1


def test_a_new_key_is_fetched(keys, provider, clock):
    """A token with an unknown key id causes a new fetch of the key set; an earlier miss delays the fetch by a few
    seconds at most.
    """
    assert keys.key("rsa", "RS256")
    provider.keys = [jwk(rsa_key("two"), "new")]
    assert keys.key("new", "RS256") is None
    clock.now += COOL_DOWN
    assert keys.key("new", "RS256")
    assert keys.key("rsa", "RS256") is None
    assert provider.fetches == 2


def test_unknown_keys_cause_at_most_one_fetch_in_ten_seconds(keys, provider, clock):
    """The limit applies to sequential and to concurrent requests."""
    assert keys.key("rsa", "RS256")
    for number in range(500):
        assert keys.key(f"unknown-{number}", "RS256") is None
        clock.now += 0.1
    assert provider.fetches <= 1 + 50 / COOL_DOWN
    clock.now += COOL_DOWN
    before = provider.fetches
    with ThreadPoolExecutor(MAX_WAITING) as threads:
        assert set(threads.map(lambda number: keys.key(f"u{number}", "RS256"), range(200))) == {None}
    assert provider.fetches == before + 1


def test_few_threads_wait_for_keys(keys, provider):
    """While the provider is slow, only some threads wait for it; further requests are rejected with Retry-After."""
    provider.is_held.clear()
    with ThreadPoolExecutor(30) as threads:
        waiting = [threads.submit(keys.key, "rsa", "RS256") for _ in range(30)]
        refused = 30 - 1 - MAX_WAITING
        deadline = time.monotonic() + 4
        while sum(one.done() for one in waiting) < refused and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        done = [one for one in waiting if one.done()]
        assert len(done) == refused
        assert {type(one.exception()) for one in done} == {IdentityProviderUnavailable}
        provider.is_held.set()
        assert all(one.result() for one in waiting if one not in done)
    assert provider.fetches == 1


def test_a_removed_key_is_rejected_after_the_cache_expires(keys, provider, clock):
    """After five minutes the key is no longer accepted, even if no unknown key was requested."""
    assert keys.key("ec", "ES256")
    provider.keys = [jwk(rsa_key(), "rsa")]
    clock.now += RENEW_AFTER
    assert keys.key("ec", "ES256")
    clock.now += 1
    assert keys.key("ec", "ES256") is None


def test_expired_keys_are_refreshed_by_one_request_while_others_continue(keys, provider, clock):
    """One request fetches the key set; concurrent requests continue with the cached keys."""
    assert keys.key("rsa", "RS256")
    clock.now += RENEW_AFTER + 1
    provider.is_held.clear()
    with ThreadPoolExecutor(1) as thread:
        one = thread.submit(keys.key, "rsa", "RS256")
        while provider.fetches < 2:
            threading.Event().wait(0.01)
        assert all(together([lambda: keys.key("rsa", "RS256")] * 20))
        assert not one.done()
        provider.is_held.set()
        assert one.result()
    assert provider.fetches == 2


URL = "https://issuer.example.com/jwks"
NEW = {"keys": [jwk(rsa_key("two"), "new")]}
FAULTS: dict[str, Any] = {
    "not reached": httpx.ConnectError("no"),
    "too slow": httpx.ReadTimeout("no"),
    "500": httpx.Response(500, json=NEW),
    "a redirect": httpx.Response(302, headers={"Location": "https://evil.example.com"}, json=NEW),
    "HTML": httpx.Response(200, html="<html>"),
    "no set": httpx.Response(200, json=[1]),
    "keys a number": httpx.Response(200, json={"keys": 1}),
    "no keys": httpx.Response(200, json={"keys": []}),
    "nothing of use": httpx.Response(200, json={"keys": [1, {}, {"kid": 1}, {"kty": "oct", "k": "eA", "kid": "rsa"}]}),
    "nested": httpx.Response(200, content=b"[" * 100_000),
    "too large": httpx.Response(200, json={**NEW, "more": "x" * jwks.MAX_BODY}),
    "compressed": httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=b""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_cached_keys_are_used_while_new_ones_are_unavailable(clock, fault, caplog):
    """Users with known keys continue to work, and the log contains the reason. An unknown key may be new, so that the
    answer to it is 503 with Retry-After.
    """
    keys = KeySet(URL, ["RS256"], monotonic=clock)
    with respx.mock(assert_all_called=False) as provider:
        route = provider.get(URL).mock(return_value=httpx.Response(200, json={"keys": [jwk(rsa_key(), "rsa")]}))
        assert keys.key("rsa", "RS256")
        route.mock(side_effect=[FAULTS[fault]] * 2)
        clock.now += RENEW_AFTER + 1
        for _ in range(20):
            assert keys.key("rsa", "RS256")
        assert route.call_count == 2
        clock.now += RENEW_AGAIN
        with pytest.raises(IdentityProviderUnavailable):
            keys.key("new", "RS256")
        assert keys.key("rsa", "RS256")
        assert route.call_count == 3
    assert "could not fetch the keys" in caplog.text
    keys.close()


def test_without_any_keys_the_answer_is_503(provider):
    """The token may be valid, so that the answer is 503 with Retry-After. Without a token it is 401."""
    provider.keys = []
    with http_stack(**provider.settings) as stack:
        answer = request_with(stack, signed())
        assert (answer.status_code, answer.json()["code"]) == (503, "IDENTITY_PROVIDER_UNAVAILABLE")
        assert int(answer.headers["retry-after"]) > 0
        assert stack.client.get("/api/v1/workflows").status_code == 401
        assert request_with(stack, by_hand({"alg": "none"}, {})).status_code == 401


def test_a_fetch_takes_at_most_five_seconds(provider, monkeypatch):
    """The limit holds for a provider that accepts the connection and sends nothing."""
    monkeypatch.setattr(jwks, "FETCH_TIME", 0.2)
    provider.is_held.clear()
    keys = KeySet(f"{provider.url}/jwks", ["RS256"])
    before = time.monotonic()
    with pytest.raises(IdentityProviderUnavailable):
        keys.key("rsa", "RS256")
    assert time.monotonic() - before < 3
    keys.close()


@pytest.mark.parametrize(
    "published",
    [
        lambda: jwk(rsa_key(), "k", use="enc"),
        lambda: jwk(rsa_key(), "k", key_ops=["encrypt"]),
        lambda: jwk(rsa_key(), "k", key_ops=1),
        lambda: jwk(rsa_key(), "k", alg="RS512"),
        lambda: jwk(rsa_key(), "k", alg="RSA-OAEP"),
        lambda: jwk(rsa_key("short", 1024), "k"),
        lambda: jwk(rsa_key(), "k", n="AA"),
        lambda: {**RSAAlgorithm.to_jwk(rsa_key(), as_dict=True), "kid": "k", "key_ops": ["verify"]},
        lambda: jwk(ec_key("long", ec.SECP384R1), "k"),
        lambda: {"kty": "oct", "k": "eHh4", "kid": "k"},
        lambda: {"kty": "RSA", "kid": "k"},
    ],
)
def test_unsuitable_keys_are_ignored(published):
    """Keys for encryption, of another algorithm or curve, too short, private, symmetric or malformed are ignored; a
    valid key in the same set is used.
    """
    body = json.dumps({"keys": [published(), jwk(rsa_key("good"), "good")]}).encode()
    assert list(usable_keys(body, ["RS256", "ES256"])) == [("good", "RS256")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"WORKFLOWS_JWT_ISSUER": ""}, "needs WORKFLOWS_JWT_ISSUER"),
        ({"WORKFLOWS_JWT_AUDIENCE": ""}, "needs WORKFLOWS_JWT_AUDIENCE"),
        ({"WORKFLOWS_JWT_JWKS_URL": ""}, "needs WORKFLOWS_JWT_JWKS_URL"),
        ({"WORKFLOWS_JWT_ALGORITHMS": "HS256"}, "WORKFLOWS_JWT_ALGORITHMS"),
        ({"WORKFLOWS_JWT_ALGORITHMS": "RS256,none"}, "WORKFLOWS_JWT_ALGORITHMS"),
        ({"WORKFLOWS_JWT_JWKS_URL": "file:///keys"}, "WORKFLOWS_JWT_JWKS_URL"),
    ],
)
def test_an_incomplete_configuration_is_rejected(changes, message):
    """The service refuses to start and names the settings."""
    good = {
        "WORKFLOWS_AUTH": "jwt",
        "WORKFLOWS_JWT_ISSUER": ISSUER,
        "WORKFLOWS_JWT_AUDIENCE": "a",
        "WORKFLOWS_JWT_JWKS_URL": URL,
    }
    assert load_settings(good).authenticates
    with pytest.raises(ConfigurationError, match=message):
        load_settings(good | changes)


def test_keys_are_fetched_over_https_only():
    """Plain http is allowed on loopback only, because a party in between could otherwise forge tokens."""
    with pytest.raises(ConfigurationError, match="https"):
        KeySet("http://issuer.example.com/jwks", ["RS256"])


@pytest.mark.parametrize(
    ("grants", "message"),
    [
        ("{", "JSON"),
        ("{}", "list"),
        ('["x"]', r"\[0\] must be an object"),
        ('[{"role": "viewer"}]', r"\[0\].who"),
        ('[{"who": "token:ci", "role": "viewer"}]', r"\[0\].who"),
        ('[{"who": "group:", "role": "viewer"}]', r"\[0\].who"),
        (
            '[{"who": "a", "role": "viewer"}, {"who": "a", "role": "root"}]',
            r"\[1\].role: must be one of viewer, operator",
        ),
        ('[{"who": "a"}]', r"\[0\].role"),
        ('[{"who": "a", "role": ["viewer"]}]', r"\[0\].role"),
        ('[{"who": "a", "role": "viewer", "team": ""}]', r"\[0\].team"),
        ('[{"who": "a", "role": "viewer", "names": "a b"}]', r"\[0\].names"),
        ('[{"who": "a", "role": "viewer", "name": "a.b"}]', r"\[0\].'name'"),
        ("[" * 100_000, "JSON"),
    ],
)
def test_an_invalid_grant_is_rejected(grants, message):
    """The service refuses to start and names the grant and the error."""
    with pytest.raises(ConfigurationError, match=f"WORKFLOWS_GRANTS.*{message}"):
        load_settings({"WORKFLOWS_GRANTS": grants})


def test_grants_may_be_a_list_in_the_settings_file(tmp_path):
    """A list in the file is equivalent to JSON in the environment variable, and is displayed as JSON."""
    file = tmp_path / "application.yaml"
    file.write_text("workflows:\n  grants:\n    - {who: 'group:data', role: operator, names: iceberg.*}\n")
    settings = load_settings({"WORKFLOWS_CONFIG": str(file)})
    (rule,) = settings.grant_rules
    assert (rule.who, rule.grant) == ("group:data", Grant(role=Role.OPERATOR, names="iceberg.*"))
    shown = {name: value for name, value, _ in described(settings, {})}
    assert json.loads(shown["WORKFLOWS_GRANTS"])[0]["who"] == "group:data"
