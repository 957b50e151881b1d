"""Headers with excess influence: no header may change the method, the path, the host or the caller."""

from __future__ import annotations

import pytest

from tests.support.http_stack import NAME, ROOT, USER

OVERRIDES = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"]
PATHS = [
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Original-URI",
    "X-Forwarded-Uri",
    "X-Forwarded-Prefix",
    "X-Forwarded-Path",
]
IDENTITIES = ["X-Forwarded-User", "X-Remote-User", "Remote-User", "X-User", "X-Auth-Request-User", "From"]


@pytest.mark.parametrize("header", OVERRIDES)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_no_header_or_parameter_changes_the_method(stack, header, method):
    """A read stays a read, and a parameter of this name is unknown."""
    before = stack.stored()
    assert stack.get(NAME, headers={header: method}).status_code == 200
    assert stack.get(f"{NAME}?{header}={method}").status_code == 400
    assert stack.stored() == before


@pytest.mark.parametrize("header", PATHS)
def test_no_header_changes_the_path(stack, header):
    """The path is that of the request line."""
    before = stack.stored()
    assert stack.get("/healthz", headers={header: f"{ROOT}/{NAME}"}).json() == {"status": "ok"}
    assert stack.post("a.b/pause", headers={header: f"{ROOT}/{NAME}/pause"}).status_code == 404
    assert stack.stored() == before


@pytest.mark.parametrize("header", IDENTITIES)
def test_no_header_sets_the_caller(stack, header):
    """Over loopback without authentication, the caller comes from the settings."""
    assert stack.post(f"{NAME}/pause", headers={header: "eve@example.com"}).json()["paused_by"] == USER


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP"])
def test_no_header_sets_the_source_address(stack, header):
    """The audit log contains the address of the connection."""
    stack.post(f"{NAME}/pause", headers={header: "for=10.0.0.1" if header == "Forwarded" else "10.0.0.1"})
    entries = stack.get("/api/v1/audit?action=pause").json()
    assert [entry["address"] for entry in entries] == ["127.0.0.1"]


def test_no_header_changes_the_host_of_a_link(stack):
    """The link to the next page is a path, which does not repeat the requested host."""
    stack.register("other.clicks")
    answer = stack.get("?limit=1", headers={"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher"})
    assert answer.headers["Link"].startswith(f"<{ROOT}?")
    assert "evil" not in str(answer.headers) + answer.text


REBOUND = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "2130706433.example",
    "[::1",
]


@pytest.mark.parametrize("host", REBOUND)
def test_a_foreign_host_name_is_rejected(stack, host):
    """A browser page on this host may have been served under that name (DNS rebinding), so that reads are also 403."""
    before = stack.stored()
    headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    for answer in (
        stack.get("", headers=headers),
        stack.client.get("/metrics", headers=headers),
        stack.post(f"{NAME}/pause", headers=headers),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")
    assert stack.stored() == before


@pytest.mark.parametrize(
    "host", ["localhost:8000", "LOCALHOST.", "127.0.0.1", "[::1]:8000", "dli.localhost", "192.0.2.1"]
)
def test_the_names_and_addresses_of_this_host_are_accepted(stack, host):
    """A page from another host cannot have these names."""
    assert stack.get("", headers={"Host": host}).status_code == 200
