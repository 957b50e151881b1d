"""Tests of the headers of a trusted proxy, over a real server that sees the address of each connection."""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.http_served import serving
from tests.support.http_stack import NAME, Stack, http_stack
from workflow_core.domain.access import Grant, Role
from workflow_core.domain.caller import Caller
from workflow_core.errors import ConfigurationError, Unauthenticated
from workflow_core.fakes.tokens import InMemoryTokens
from workflow_core.usecases.commands.tokens import CreateToken, create_token
from workflow_entrypoints.http import create_app
from workflow_entrypoints.http.auth import AuthRequest
from workflow_entrypoints.http.auth.proxy import ProxyAuthenticator
from workflow_entrypoints.settings import Settings, described, load_settings

if TYPE_CHECKING:
    from workflow_core.domain.identity import Identity

GRANTS = [
    {"who": "alice", "role": "author"},
    {"who": "group:data", "role": "operator"},
    {"who": "alice@example.com", "role": "operator"},
    {"who": "CORP\\alice", "role": "operator"},
]
USER = "X-Forwarded-User"
GROUPS = "X-Forwarded-Groups"
LISTED = {"auth": "proxy", "proxy_peers": "127.0.0.1", "proxy_groups_header": GROUPS, "grants": json.dumps(GRANTS)}


@pytest.fixture(scope="module")
def board():
    with serving() as running:
        yield running


@pytest.fixture
def stack():
    with http_stack() as made:
        made.register()
        yield made


@pytest.fixture
def run(board, stack: Stack):
    """Serve with these settings, trigger a run, and return the response."""

    def asked(headers: Any, tokens: InMemoryTokens | None = None, **settings: Any) -> httpx.Response:
        board.app = create_app(stack.service, Settings(**{**LISTED, **settings}), tokens=tokens)
        return httpx.post(f"{board.url}/api/v1/workflows/{NAME}/run", headers=headers, json={})

    return asked


def test_a_listed_proxy_identifies_the_caller(run):
    """Each valid user name in the header is accepted; groups are optional."""
    for name in ("alice", "alice@example.com", "CORP\\alice"):
        answer = run({USER: name})
        assert (answer.status_code, answer.json()["triggered_by"]) == (202, name)


@pytest.mark.parametrize("peers", ["10.0.0.0/8", "127.0.0.2", "::1", "fd00::/64,192.168.0.0/16"])
def test_a_forged_header_is_ignored(run, stack, peers):
    """The header of an unlisted peer is ignored, also if the peer claims another source address, and nothing is
    changed.
    """
    forged = {USER: "alice", GROUPS: "data", "X-Forwarded-For": "10.0.0.1", "X-Real-IP": "10.0.0.1"}
    before = stack.stored()
    answer = run({**forged, "Forwarded": "for=10.0.0.1;by=10.0.0.1"}, proxy_peers=peers)
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"] == "Bearer"
    assert stack.stored() == before


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(GROUPS, "data")],
        [(USER, "alice"), (USER, "bob")],
        [(USER, "alice"), (USER, "alice")],
        [(USER, "alice"), ("x-forwarded-user", "bob")],
        [(USER, "alice"), (GROUPS, "data"), (GROUPS, "admin")],
        [(USER, "alice, bob")],
        [(USER, "")],
        [(USER, "token:ci")],
        [(USER, "group:data")],
        [(USER, "*")],
        [(USER, "scheduler")],
        [(USER, b"\xff\xfe")],
        [(USER, "x" * 201)],
        [("X-Forwarded_User", "alice")],
        [("X-Forwarded-Email", "alice")],
    ],
)
def test_a_header_that_is_not_exactly_one_name_is_rejected(run, headers):
    """A missing, duplicate or invalid user name is rejected, even if it comes from the proxy."""
    assert run(headers).status_code == 401


def test_a_bearer_token_takes_precedence_over_the_header(run, stack):
    """A request with a bearer token is judged by that token, also behind the proxy; if tokens are disabled, the
    Authorization header is ignored.
    """
    tokens = InMemoryTokens()
    command = CreateToken(name="ci", grants=(Grant(role=Role.ADMIN),), caller=Caller(name="x"))
    _, text = create_token(command, tokens, stack.clock)
    both = {"tokens": tokens, "auth": "token,proxy"}
    assert run({USER: "alice", "Authorization": f"Bearer {text}"}, **both).json()["triggered_by"] == "token:ci"
    assert run({USER: "alice", "Authorization": "Bearer wrong"}, **both).status_code == 401
    assert run({USER: "alice", "Authorization": "Basic YTpi"}, **both).status_code == 401
    assert run({USER: "alice"}, **both).json()["triggered_by"] == "alice"
    assert run({USER: "alice", "Authorization": "Basic YTpi"}).json()["triggered_by"] == "alice"


def identified(peer: str | None, *headers: tuple[bytes, bytes], peers: str = "10.0.0.0/8,fd00::/64") -> Identity | None:
    rules = Settings(grants=json.dumps(GRANTS)).grant_rules
    networks = [ip_network(one) for one in peers.split(",")]
    proxy = ProxyAuthenticator(peers=networks, user_header="X-User", groups_header="X-Groups", grants=rules)
    return proxy.authenticate(AuthRequest(headers=headers or [(b"x-user", b"alice")], peer=peer))


@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"])
def test_a_peer_is_recognized_in_each_notation(peer):
    """This includes IPv4 addresses on a dual-stack socket."""
    assert identified(peer)


@pytest.mark.parametrize(
    "peer", [None, "", "11.0.0.1", "::ffff:11.0.0.1", "fd00:1::1", "testclient", "10.0.0.1, 11.0.0.1"]
)
def test_an_unlisted_peer_is_not_trusted(peer):
    """A socket without an address is not trusted either."""
    assert identified(peer) is None


@pytest.mark.parametrize(
    ("groups", "roles"),
    [
        (b"data", ["author", "operator"]),
        (b"x, data ,y", ["author", "operator"]),
        (b"", ["author"]),
        (b"Data", ["author"]),
    ],
)
def test_groups_are_separated_by_commas(groups, roles):
    """Each group is compared with the grants exactly."""
    found = identified("10.0.0.1", (b"x-user", b"alice"), (b"x-groups", groups))
    assert found is not None
    assert ([grant.role for grant in found.access.grants], found.access.owns) == (roles, True)


def test_groups_are_read_only_if_configured(board, stack):
    """A proxy that sets only the user name forwards the group headers of its clients, so that these are ignored."""
    roles = {}
    for header in (None, GROUPS):
        board.app = create_app(stack.service, Settings(**{**LISTED, "proxy_groups_header": header}))
        answer = httpx.get(f"{board.url}/api/v1/whoami", headers={USER: "bob", GROUPS: "data"}).json()
        roles[header] = [grant["role"] for grant in answer["grants"]]
    assert roles == {None: [], GROUPS: ["operator"]}
    assert Settings().proxy_groups_header is None


def test_a_name_may_contain_non_ascii_letters():
    """Names are encoded in UTF-8."""
    found = identified("10.0.0.1", (b"x-user", "ünï".encode()))
    assert found is not None
    assert found.name == "ünï"
    with pytest.raises(Unauthenticated):
        identified("10.0.0.1", (b"x-user", "ünï".encode("latin-1")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "needs WORKFLOWS_PROXY_PEERS"),
        ({"WORKFLOWS_PROXY_PEERS": "0.0.0.0/0"}, "every address"),
        ({"WORKFLOWS_PROXY_PEERS": "10.0.0.1,::/0"}, "every address"),
        ({"WORKFLOWS_PROXY_PEERS": "proxy.example.com"}, "WORKFLOWS_PROXY_PEERS"),
        ({"WORKFLOWS_PROXY_PEERS": "10.0.0.1", "WORKFLOWS_PROXY_USER_HEADER": "X User"}, "WORKFLOWS_PROXY_USER_HEADER"),
    ],
)
def test_a_proxy_must_be_listed_by_address(changes, message):
    """No proxy is trusted by default, and a setting that trusts all addresses is rejected."""
    with pytest.raises(ConfigurationError, match=message):
        load_settings({"WORKFLOWS_AUTH": "proxy", **changes})


def test_peers_are_displayed_as_networks():
    """A single address is displayed as a network of one address."""
    settings = load_settings({"WORKFLOWS_PROXY_PEERS": "10.0.0.5, fd00::/64"})
    assert {name: value for name, value, _ in described(settings, {})}[
        "WORKFLOWS_PROXY_PEERS"
    ] == "10.0.0.5/32,fd00::/64"
