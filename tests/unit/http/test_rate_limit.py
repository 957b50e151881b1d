"""Tests of the rate limit for each caller and of the security headers of all responses."""

from __future__ import annotations

import socket
import time

import httpx
import pytest
from litestar import Response, get
from litestar.testing import TestClient

from tests.support.http_served import serving
from tests.support.http_stack import NAME, http_stack
from tests.support.seconds import Seconds
from workflow_core.domain.access import Grant, Role
from workflow_core.domain.caller import Caller
from workflow_core.fakes.tokens import InMemoryTokens
from workflow_core.usecases.commands.tokens import CreateToken, create_token
from workflow_entrypoints.http import create_app
from workflow_entrypoints.http.access_log import WorkflowApp
from workflow_entrypoints.http.rate_limit import CALLERS, Rate
from workflow_entrypoints.settings import Settings


@pytest.fixture
def clock():
    return Seconds()


def test_a_burst_is_followed_by_a_steady_rate(clock):
    """The burst is available at once, then one request per interval; after a pause, the whole burst is available again."""
    rate = Rate(per_second=2.0, burst=3, clock=clock)
    assert [(one.left, one.wait) for one in (rate.count("a") for _ in range(4))] == [
        (2, 0.0),
        (1, 0.0),
        (0, 0.0),
        (0, 0.5),
    ]
    clock.now += 0.5
    assert [rate.count("a").wait, rate.count("a").wait] == [0.0, 0.5]
    clock.now += 100
    assert [rate.count("a").left for _ in range(3)] == [2, 1, 0]


def test_rejected_requests_are_not_counted(clock):
    """A request that comes too early does not extend the delay."""
    rate = Rate(per_second=1.0, burst=1, clock=clock)
    rate.count("a")
    assert {rate.count("a").wait for _ in range(100)} == {1.0}
    clock.now += 1.0
    assert rate.count("a").wait == 0.0


def test_callers_are_counted_separately(clock):
    """Each caller has a separate burst."""
    rate = Rate(per_second=1.0, burst=1, clock=clock)
    assert [rate.count(who).wait for who in ("a", "b", "a")] == [0.0, 0.0, 1.0]


def test_the_number_of_remembered_callers_is_limited(clock):
    """The caller with the oldest request is forgotten first."""
    rate = Rate(per_second=1.0, burst=1, clock=clock)
    for number in range(CALLERS + 1):
        rate.count(str(number))
    assert len(rate._full_at) == CALLERS
    assert (rate.count("1").wait, rate.count("0").wait) == (1.0, 0.0)


def test_the_headers_contain_limit_remaining_and_reset(clock):
    """The headers follow the IETF draft: the limit, the remaining requests, and the time until all are available."""
    rate = Rate(per_second=2.0, burst=5, clock=clock)
    assert rate.headers(rate.count("a")) == {
        "RateLimit-Policy": '"caller";q=5;w=3',
        "RateLimit": '"caller";r=4;t=1',
    }
    for _ in range(4):
        rate.count("a")
    assert rate.headers(rate.count("a"))["Retry-After"] == "1"


@pytest.fixture
def limited():
    tokens = InMemoryTokens()
    with http_stack(tokens=tokens, auth="token", rate=0.001, rate_burst=3) as stack:
        stack.register()

        def token(name):
            command = CreateToken(name=name, grants=(Grant(role=Role.ADMIN),), caller=Caller(name="x"))
            return {"Authorization": f"Bearer {create_token(command, tokens, stack.clock)[1]}"}

        yield stack, token


def test_too_many_requests_are_429_with_retry_after(limited):
    """The rejection comes before anything is read or changed, for reads and writes; other callers and the health checks
    are unaffected.
    """
    stack, token = limited
    mine, other = token("mine"), token("other")
    before = stack.stored()
    assert [stack.get(NAME, headers=mine).status_code for _ in range(3)] == [200, 200, 200]
    for answer in (
        stack.get(NAME, headers=mine),
        stack.post(f"{NAME}/run", {}, headers=mine),
        stack.client.post(f"/api/v1/workflows/{NAME}/run", content=b"{", headers=mine),
    ):
        assert (answer.status_code, answer.json()["code"]) == (429, "TOO_MANY_REQUESTS")
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["ratelimit"].startswith('"caller";r=0;t=')
    assert stack.stored() == before
    assert stack.get(NAME, headers=other).status_code == 200
    assert stack.get("/healthz", headers=mine).status_code == 200


def test_failed_authentication_is_limited_by_address(limited):
    """Authenticated callers with the same address are unaffected."""
    stack, token = limited
    wrong = {"Authorization": "Bearer dli_0"}
    assert [stack.get("", headers=wrong).status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    assert stack.get("", headers=token("x")).status_code == 200


def test_without_authentication_there_is_no_rate_limit():
    """With `none`, all callers are the same user."""
    with http_stack(rate=0.001, rate_burst=1) as stack:
        assert [stack.get("").status_code for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("path", ["", NAME, "no.such", "/healthz", "/metrics", "/nothing", "history?limit=x"])
def test_every_response_has_security_headers(path):
    """Browsers do not guess the content type, and no cache stores the response; a response with an ETag may be stored
    but must be revalidated.
    """
    with http_stack() as stack:
        stack.register()
        url = path if path.startswith("/") else f"/api/v1/workflows/{path}".rstrip("/")
        answer = stack.client.get(url)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == ("private, no-cache" if "etag" in answer.headers else "no-store")
    assert "server" not in answer.headers


def test_security_headers_appear_once():
    """A header that a route sets itself is replaced, because caches and browsers differ in which of two values they
    use.
    """

    @get("/")
    async def talkative() -> Response[None]:
        own = {"Cache-Control": "public", "X-Request-ID": "1", "Connection": "keep-alive", "Referrer-Policy": "origin"}
        return Response(None, headers=own)

    app = WorkflowApp([talkative], openapi_config=None)
    app.is_draining = True
    with TestClient(app) as client:
        answer = client.get("/", headers={"X-Request-ID": "mine"})
    expected = {
        "cache-control": "no-store",
        "connection": "close",
        "referrer-policy": "no-referrer",
        "x-request-id": "mine",
    }
    assert {name: answer.headers.get_list(name) for name in expected} == {
        name: [value] for name, value in expected.items()
    }


def test_a_body_that_arrives_slowly_is_aborted():
    """The answer is 408 in bounded time, the connection is closed, and the request took no slot from others."""
    with http_stack() as made:
        made.register()
        app = create_app(made.service, Settings(user="x", threads=2, changes_waiting=0, body_timeout=1.0))
        with serving() as board, socket.create_connection(("127.0.0.1", int(board.url.rsplit(":", 1)[1]))) as slow:
            board.app, url = app, board.url
            slow.sendall(
                f"POST /api/v1/workflows/{NAME}/run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                "Content-Length: 100\r\n\r\n{".encode()
            )
            time.sleep(0.2)

            assert httpx.post(f"{url}/api/v1/workflows/{NAME}/run", json={}, trust_env=False).status_code == 202
            slow.settimeout(10)
            response = b""
            while chunk := slow.recv(65536):
                response += chunk
    assert response.startswith(b"HTTP/1.1 408 ")
    assert b"REQUEST_TIMEOUT" in response


def test_limits_are_settings():
    """A rate of zero is invalid."""
    tokens = InMemoryTokens()
    with http_stack(tokens=tokens, auth="token", rate=0.0) as stack:
        answer = stack.get("")
        assert (answer.status_code, "ratelimit" in answer.headers) == (401, False)
