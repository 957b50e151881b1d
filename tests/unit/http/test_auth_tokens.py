"""Tests of authentication in general and of API tokens, over the real application."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partialmethod
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.http_served import serving
from tests.support.http_stack import NAME, TEN, YAML, check_answer, http_stack
from workflow_core.domain.access import EVERYTHING, Access, Grant, Role
from workflow_core.domain.identity import is_user_name
from workflow_core.domain.token import new_token
from workflow_core.errors import ConfigurationError, DatabaseUnavailable, InvalidRequest, Unauthenticated
from workflow_core.fakes.tokens import InMemoryTokens
from workflow_core.service import WorkflowService
from workflow_core.testing.tokens import a_token
from workflow_entrypoints.bind_address import listen_address
from workflow_entrypoints.http import create_app
from workflow_entrypoints.http.auth.bearer import REMEMBERED, TokenReader
from workflow_entrypoints.settings import Settings, load_settings

if TYPE_CHECKING:
    from httpx import Response

    from workflow_core.domain.caller import Caller
    from workflow_core.domain.token import Token

ADMIN = (Grant(role=Role.ADMIN),)


@pytest.fixture
def tokens():
    return InMemoryTokens()


@pytest.fixture
def stack(tokens):
    with http_stack(auth="token", tokens=tokens) as running:
        yield running


def stored_token(
    tokens: InMemoryTokens, name: str = "ci", grants: tuple[Grant, ...] = ADMIN, **given: Any
) -> tuple[Token, dict[str, str]]:
    """Store a token and return its header."""
    token, text = new_token(name, grants, at=TEN, by="admin", **given)
    tokens.add_token(token)
    return token, {"Authorization": f"Bearer {text}"}


def refused(answer: Response) -> str:
    """Assert that the response is the one for unauthenticated requests, and return its body."""
    check_answer(answer)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    body = answer.json()
    assert (body["code"], body.get("errors", [])) == ("UNAUTHENTICATED", [])
    return str(body["detail"])


def spied(api: WorkflowService, seen: list[Caller], *_: object) -> None:
    """Replace a method of the API: record the caller, and return nothing."""
    seen.append(api.caller)
    raise DatabaseUnavailable("seen")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "history"),
        ("GET", NAME),
        ("HEAD", NAME),
        ("OPTIONS", NAME),
        ("POST", "register"),
        ("POST", "sync"),
        ("POST", f"{NAME}/run"),
        ("POST", f"{NAME}/backfill"),
        ("DELETE", NAME),
        ("GET", "runs/x/events"),
        ("GET", "/api/v1/audit"),
        ("GET", "/metrics"),
        ("GET", "/schema/openapi.json"),
    ],
)
def test_unauthenticated_requests_are_rejected(stack, method, path):
    """Without a credential, existing and missing resources get the same 401, before the query and the body are read."""
    url = path if path.startswith("/") else f"/api/v1/workflows/{path}".rstrip("/")
    answer = stack.client.request(method, f"{url}?unknown=1", content=b"{")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert stack.client.request(method, url, headers={"Authorization": "Bearer x"}).status_code == 401


def test_every_route_but_the_health_checks_authenticates(stack):
    """Of all routes, only ``/healthz``, ``/readyz`` and ``/dependencies`` answer without a credential."""
    routes = {
        (route.path_format, method)
        for route in stack.client.app.routes
        for method in route.methods
        if route.path_format not in {"/healthz", "/readyz", "/dependencies"}
    }
    assert len(routes) > 30
    for path, method in routes:
        url = path.replace("{dataset_name}", NAME).replace("{run_id}", "r").replace("{backfill_id}", "b")
        assert stack.client.request(method, url.replace("{number}", "1")).status_code == 401, (method, path)


def test_health_checks_answer_without_credentials_and_without_details(stack, caplog):
    """A probe needs no credential and gets no details; the log contains them."""
    stack.database.go_down()
    ready, dependencies = stack.get("/readyz"), stack.get("/dependencies")
    assert ready.status_code == dependencies.status_code == 503
    assert ready.json()["database"] == {"status": "unavailable", "detail": "unavailable"}
    assert {system["detail"] for system in list(dependencies.json().values())[1:]} == {"ok", "unavailable"}
    assert "database is unavailable: " in caplog.text
    assert stack.get("/healthz").json() == {"status": "ok"}


def test_a_token_opens_metrics_and_openapi(stack, tokens):
    """A token may read the metrics and the OpenAPI document with any grant."""
    _, headers = stored_token(tokens, grants=(Grant(role=Role.VIEWER, names="other.*"),))
    for path in ("/metrics", "/schema/openapi.json", "/api/v1/workflows"):
        assert stack.client.get(path, headers=headers).status_code == 200


def test_changes_are_recorded_under_the_name_of_the_token(stack, tokens):
    """The caller is ``token:<name>``, which comes only from the verified token; the address is that of the connection."""
    _, headers = stored_token(tokens)
    forged = {
        **headers,
        "X-Forwarded-User": "eve",
        "X-Forwarded-For": "8.8.8.8",
        "Forwarded": "for=8.8.8.8",
        "From": "eve",
    }
    registered = stack.post("register", {"dataset_name": NAME, "yaml_content": YAML}, headers=forged)
    assert registered.status_code == 201
    run = stack.post(f"{NAME}/run", {}, headers=forged)
    assert run.json()["triggered_by"] == "token:ci"
    events = stack.get("/api/v1/audit", headers=headers).json()
    assert {(event["who"], event["address"]) for event in events} == {("token:ci", "testclient")}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{NAME}/run", {"triggered_by": "eve"}),
        (f"{NAME}/run", {"user": "eve"}),
        (f"{NAME}/pause", {"reason": "x", "paused_by": "eve"}),
        ("runs/r/stop", {"reason": "x", "stopped_by": "eve"}),
        ("register", {"dataset_name": NAME, "yaml_content": YAML, "registered_by": "eve"}),
    ],
)
def test_a_body_cannot_set_the_caller(stack, tokens, path, body):
    """A field that claims an identity is unknown and rejected."""
    _, headers = stored_token(tokens)
    answer = stack.post(path, body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["code"] == "INVALID_REQUEST"
    assert stack.stored() == ((), (), [], [])


def test_the_grants_of_a_token_reach_the_service(stack, tokens, monkeypatch):
    """The caller has exactly the token's grants, and nothing by ownership."""
    seen: list[Caller] = []
    monkeypatch.setattr(WorkflowService, "workflows", partialmethod(spied, seen))
    grants = (Grant(role=Role.OPERATOR, team="@ads", names="iceberg.*"), Grant(role=Role.VIEWER))
    _, headers = stored_token(tokens, grants=grants)
    stack.client.get("/api/v1/workflows", headers=headers)
    (caller,) = seen
    assert (caller.name, caller.access) == ("token:ci", Access(grants=grants, owns=False))


def _changed(text: str, **what: str) -> str:
    """The text of a token with one part replaced."""
    prefix, token_id, secret = text.split("_")
    parts = {"prefix": prefix, "id": token_id, "secret": secret} | what
    return "_".join(parts.values())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: _changed(text, prefix="dlx"),
        lambda text: _changed(text, prefix="DLI"),
        lambda text: _changed(text, id="0" * 16),
        lambda text: _changed(text, secret="0" * 64),
        lambda text: text[:-1],
        lambda text: text[:24],
        lambda text: text + "0",
        lambda text: text.upper(),
        lambda text: text + "=",
        lambda text: f"{text} {text}",
        lambda text: f"{text},{text}",
        lambda text: text + "a" * 10_000,
        lambda text: text[:30] + "\xe9" + text[31:],
        lambda _: "",
    ],
)
def test_a_malformed_token_is_rejected(stack, tokens, spoil):
    """A token with another prefix, id or secret, a truncated or oversized one, and two in one header get the same
    response.
    """
    _, headers = stored_token(tokens)
    text = headers["Authorization"].removeprefix("Bearer ")
    answer = stack.client.get("/api/v1/workflows", headers={"Authorization": f"Bearer {spoil(text)}".encode("latin-1")})
    assert refused(answer) == refused(stack.client.get("/api/v1/workflows"))


@pytest.mark.parametrize("scheme", ["Basic", "Digest", "Token", "", "Bearer:", "BearerX"])
def test_another_scheme_is_rejected(stack, tokens, scheme):
    """A valid token under another scheme is not a bearer token."""
    _, headers = stored_token(tokens)
    text = headers["Authorization"].removeprefix("Bearer ")
    refused(stack.client.get("/api/v1/workflows", headers={"Authorization": f"{scheme} {text}".strip()}))


def test_the_scheme_is_case_insensitive(stack, tokens):
    """RFC 9110, section 11.1, defines this."""
    _, headers = stored_token(tokens)
    text = headers["Authorization"].removeprefix("Bearer ")
    assert stack.client.get("/api/v1/workflows", headers={"Authorization": f"bearer {text}"}).status_code == 200


def test_two_credentials_are_rejected(stack, tokens):
    """Two Authorization headers are rejected even if both are valid, because servers differ in which one they read. The
    test uses a real server, which keeps the headers apart.
    """
    one, other = stored_token(tokens)[1]["Authorization"], stored_token(tokens, name="other")[1]["Authorization"]
    with serving() as board:
        board.app = stack.client.app
        url = f"{board.url}/api/v1/workflows"
        assert httpx.get(url, headers={"Authorization": one}).status_code == 200
        for name, value in (("Authorization", other), ("Authorization", one), ("authorization", "")):
            assert httpx.get(url, headers=[("Authorization", one), (name, value)]).status_code == 401


def test_an_expired_token_is_rejected_from_its_expiry_on(stack, tokens):
    """A cached token is also rejected."""
    _, headers = stored_token(tokens, expires_at=TEN + timedelta(seconds=2))
    stack.clock.sleep(1)
    assert stack.client.get("/api/v1/workflows", headers=headers).status_code == 200
    stack.clock.sleep(1)
    refused(stack.client.get("/api/v1/workflows", headers=headers))


def test_a_revoked_token_is_accepted_for_a_few_seconds_at_most():
    """A cached token is looked up again after five seconds; one that is not cached is looked up at once."""
    tokens, moments = InMemoryTokens(), [100.0]
    reader = TokenReader(tokens, lambda: TEN, monotonic=lambda: moments[-1])
    token, headers = stored_token(tokens)
    text = headers["Authorization"].removeprefix("Bearer ")
    assert reader.identity(text) == token.identity
    tokens.revoke_token(token.id, at=TEN, by="admin")
    moments.append(100.0 + REMEMBERED - 0.001)
    assert reader.identity(text) == token.identity
    with pytest.raises(Unauthenticated):
        TokenReader(tokens, lambda: TEN).identity(text)
    moments.append(100.0 + REMEMBERED)
    with pytest.raises(Unauthenticated):
        reader.identity(text)


def test_a_wrong_secret_is_rejected_while_the_token_is_cached():
    """The cache holds the token, and each request verifies the secret."""
    tokens = InMemoryTokens()
    reader = TokenReader(tokens, lambda: TEN)
    _, headers = stored_token(tokens)
    text = headers["Authorization"].removeprefix("Bearer ")
    assert reader.identity(text)
    with pytest.raises(Unauthenticated):
        reader.identity(_changed(text, secret="0" * 64))


class CountedTokens(InMemoryTokens):
    """Counts the lookups."""

    looks = 0

    def token(self, token_id: str) -> Token | None:
        self.looks += 1
        return super().token(token_id)


def test_a_token_is_looked_up_once_for_many_requests():
    """There is one lookup in five seconds for any number of requests."""
    tokens = CountedTokens()
    reader = TokenReader(tokens, lambda: TEN, monotonic=lambda: 1.0)
    _, headers = stored_token(tokens)
    for _ in range(10):
        reader.identity(headers["Authorization"].removeprefix("Bearer "))
    assert tokens.looks == 1


def test_without_a_database_the_answer_is_503(stack, tokens):
    """The credential may be valid, so that the answer is not 401."""
    _, headers = stored_token(tokens)
    tokens.go_down()
    answer = stack.get("", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "DATABASE_UNAVAILABLE")
    refused(stack.client.get("/api/v1/workflows"))


def test_a_token_and_a_user_of_one_name_are_two_callers():
    """No user can have the name of a token, of a group, of the set of all callers, or of the system."""
    token = a_token(name="alice")
    assert token.identity.name == "token:alice"
    illegal = [
        "token:alice",
        "Token:alice",
        "group:x",
        "*",
        "",
        " alice",
        "alice ",
        "a\nb",
        "a\x00b",
        "system",
        "Scheduler",
    ]
    assert [name for name in [*illegal, "sync", "anonymous", "\u202eecila", "x" * 201] if is_user_name(name)] == []
    assert [
        name for name in ("alice", "user@example.com", "auth0|1", "system:serviceaccount:a:b") if not is_user_name(name)
    ] == []


def test_idempotency_keys_of_two_callers_are_distinct(stack, tokens):
    """The ``Idempotency-Key`` of another token is another key."""
    stack.register()
    one, other = stored_token(tokens)[1], stored_token(tokens, name="other")[1]
    answers = [stack.post(f"{NAME}/run", {}, headers={**who, "Idempotency-Key": "k"}) for who in (one, other, one)]
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert [answer.json()["triggered_by"] for answer in answers] == ["token:ci", "token:other", "token:ci"]
    assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, None, "true"]


def test_without_authentication_every_caller_is_the_user_of_the_settings():
    """A credential in the request changes nothing."""
    with http_stack() as stack:
        stack.register()
        answer = stack.post(f"{NAME}/run", {}, headers={"Authorization": "Bearer x"})
        assert answer.json()["triggered_by"] == "user@example.com"


def test_without_authentication_everything_is_allowed(monkeypatch):
    """The caller has the same rights as an application that embeds the service."""
    seen: list[Caller] = []
    monkeypatch.setattr(WorkflowService, "health", partialmethod(spied, seen))
    with http_stack() as stack:
        stack.client.get("/dependencies")
    assert [caller.access for caller in seen] == [EVERYTHING]


def test_public_routes_have_a_caller_without_rights(stack, tokens, monkeypatch):
    """On public routes the caller has no identity, with or without a credential."""
    seen: list[Caller] = []
    monkeypatch.setattr(WorkflowService, "health", partialmethod(spied, seen))
    stack.client.get("/dependencies")
    stack.client.get("/dependencies", headers=stored_token(tokens)[1])
    assert [(caller.name, caller.access) for caller in seen] == [("anonymous", Access(owns=False))] * 2


def test_secrets_are_in_no_log(stack, tokens, caplog):
    """Neither a valid nor an invalid token is logged for any outcome of the request; the token's id is."""
    caplog.set_level(logging.DEBUG)
    token, headers = stored_token(tokens, expires_at=TEN + timedelta(seconds=1))
    text = headers["Authorization"].removeprefix("Bearer ")
    stack.client.get("/api/v1/workflows", headers=headers)
    stack.client.get("/api/v1/workflows", headers={"Authorization": f"Bearer {_changed(text, secret='f' * 64)}"})
    stack.clock.sleep(1)
    stack.client.get("/api/v1/workflows", headers=headers)
    logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert f"the API token {token.id} has expired" in logged
    assert (text[-64:] in logged, "f" * 64 in logged, token.digest in logged) == (False, False, False)


@pytest.mark.parametrize("auth", ["none,token", "token,token", "", ",", "password", "token;none"])
def test_an_ambiguous_auth_setting_is_rejected(auth):
    """A mistake in the setting admits no caller."""
    with pytest.raises(ConfigurationError, match="WORKFLOWS_AUTH"):
        load_settings({"WORKFLOWS_AUTH": auth or " "})


def test_non_loopback_addresses_require_authentication():
    """With authentication each address is allowed; without it, only loopback is."""
    assert listen_address("0.0.0.0", authenticated=True) == "0.0.0.0"
    assert listen_address("localhost", authenticated=True) == "127.0.0.1"
    with pytest.raises(ConfigurationError, match="neither an IP address"):
        listen_address("example.com", authenticated=True)
    with pytest.raises(ConfigurationError, match="WORKFLOWS_AUTH"):
        listen_address("0.0.0.0", authenticated=False)


def test_the_application_is_not_built_without_what_authentication_needs():
    """An application that is configured for tokens but has no token store is not built."""
    with http_stack() as stack, pytest.raises(ConfigurationError, match="API tokens"):
        create_app(stack.service, Settings(auth="token"))


@pytest.mark.parametrize("name", ["", "-x", "a b", "a" * 101, "é", "a\n", "token:x"])
def test_a_token_needs_a_valid_name(name):
    """Names contain letters, digits and a few signs, so that they can be written in each place."""
    with pytest.raises(InvalidRequest, match="name"):
        new_token(name, ADMIN, at=TEN, by="x")


def test_a_token_needs_a_grant_and_a_future_expiry():
    """A token that could never do anything is a mistake."""
    with pytest.raises(InvalidRequest, match="grants"):
        new_token("ci", (), at=TEN, by="x")
    with pytest.raises(InvalidRequest, match="expires_at"):
        new_token("ci", ADMIN, at=TEN, by="x", expires_at=TEN)


def test_two_tokens_always_differ():
    """Id and secret are random; the secret has 256 bits."""
    texts = [new_token("ci", ADMIN, at=TEN, by="x")[1] for _ in range(100)]
    assert len({text[4:20] for text in texts}) == len({text[21:] for text in texts}) == 100
    assert {len(text[21:]) * 4 for text in texts} == {256}


def test_unauthenticated_requests_are_rejected_before_queueing(tokens, monkeypatch):
    """While changes wait for a slot, unauthenticated requests are rejected at once and take no slot from authenticated
    ones.
    """
    held, entered = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> object:
        entered.set()
        held.wait(30)
        raise DatabaseUnavailable("seen")

    with http_stack(auth="token", tokens=tokens, threads=2, changes_waiting=1, changes_patience=20) as stack:
        _, headers = stored_token(tokens)
        monkeypatch.setattr(WorkflowService, "run", slow)
        url = f"/api/v1/workflows/{NAME}/run"
        with ThreadPoolExecutor(2) as threads:
            under_way = [threads.submit(stack.client.post, url, headers=headers, json={})]
            assert entered.wait(30)
            for _ in range(5):
                assert stack.client.post(url, json={}).status_code == 401
            under_way.append(threads.submit(stack.client.post, url, headers=headers, json={}))
            held.set()
            assert [one.result().json()["code"] for one in under_way] == ["DATABASE_UNAVAILABLE"] * 2
