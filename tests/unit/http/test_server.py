"""Tests of the server: its address, its start and its shutdown."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from devstack.ports import is_free
from tests.support.http_stack import http_stack
from tests.support.paths import PYTHONPATH
from workflow_core.errors import ConfigurationError
from workflow_entrypoints.bind_address import loopback_address
from workflow_entrypoints.http import create_app
from workflow_entrypoints.http.server import listen, serve
from workflow_entrypoints.settings import Settings

SERVER = """
import sys
import time
from workflow_entrypoints.http import create_app, serve
from workflow_entrypoints.settings import Settings
from workflow_core.fakes.airflow import InMemoryAirflow
from workflow_core.fakes.clock import ManualClock
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.fakes.database import InMemoryDatabase
from workflow_core.service import WorkflowService

storage, clock = InMemoryStorage(), ManualClock()
airflow = InMemoryAirflow(storage=storage, clock=clock)

class Slow(WorkflowService):
    def health(self):
        print("busy", flush=True)
        time.sleep(0.5)
        return super().health()

service = Slow(database=InMemoryDatabase(), airflow=airflow, storage=storage, clock=clock)
settings = Settings(port=0, drain=float(sys.argv[1]))
app = create_app(service, settings, on_shutdown=[lambda: print("worker stopped", flush=True)])
serve(
    app, settings, on_ready=lambda url: print(url, flush=True), on_stop=lambda: print("stopping", flush=True)
)
print("cleaned up", flush=True)
"""


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1"), ("127.1.2.3", "127.1.2.3"), ("::1", "::1"), ("localhost", "127.0.0.1")],
)
def test_loopback_hosts_are_allowed(host, address):
    """The hosts are 127.0.0.0/8, ::1 and localhost."""
    assert loopback_address(host) == address


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.5", "10.0.0.1", "example.com", "", "127.0.0.1.example.com"]
)
def test_other_hosts_are_rejected_with_the_reason(host):
    """Without authentication the port must not be reachable from other hosts."""
    with pytest.raises(ConfigurationError, match="no authentication"):
        loopback_address(host)


def test_a_taken_port_is_named_and_nothing_is_started():
    """The error names the port and comes before the application starts."""
    started: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as other, http_stack() as stack:
        port = other.getsockname()[1]
        settings = Settings(port=port)
        app = create_app(stack.service, settings, on_startup=[lambda: started.append("up")])
        with pytest.raises(ConfigurationError, match=rf"Port {port} of 127\.0\.0\.1.*WORKFLOWS_PORT"):
            serve(app, settings)
    assert started == []


def test_two_services_cannot_share_a_port():
    """The second one fails to start."""
    with listen(Settings(port=0)) as first, pytest.raises(ConfigurationError, match="Port"):
        listen(Settings(port=first.getsockname()[1]))


def test_responses_are_sent_without_delay():
    """Nagle's algorithm is disabled, as asyncio does for listeners that it recognizes: the algorithm would cost 40 ms on a kept
    connection.
    """
    with listen(Settings(port=0)) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP


def test_an_application_that_does_not_start_is_an_error():
    """A worker that fails to start is an error."""

    def fail() -> None:
        msg = "no"
        raise RuntimeError(msg)

    with http_stack() as stack:
        settings = Settings(port=0)
        with pytest.raises(ConfigurationError, match="did not start"):
            serve(create_app(stack.service, settings, on_startup=[fail]), settings)


@contextlib.contextmanager
def running_server(drain: float = 0):
    """A service over the fakes in a separate process, and its URL."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(drain)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_requests_and_returns(number):
    """A request in progress is answered, then the worker stops, then serve() returns to its caller."""
    with running_server() as (process, url):
        answers: list[int] = []
        client = threading.Thread(target=lambda: answers.append(httpx.get(f"{url}/dependencies").status_code))
        client.start()
        assert process.stdout.readline() == "busy\n"
        process.send_signal(number)
        rest, log = process.communicate(timeout=20)
        client.join()
    assert answers == [200]
    assert rest.split("\n")[:3] == ["stopping", "worker stopped", "cleaned up"]
    assert "Traceback" not in log
    assert process.returncode == 0


def test_a_draining_service_serves_but_is_not_ready():
    """``/readyz`` is 503 at once without a call to other systems; other requests are answered, and each response closes
    its connection.
    """
    with running_server(drain=60) as (process, url), httpx.Client(base_url=url, trust_env=False) as client:
        assert "connection" not in client.get("/healthz").headers
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "stopping\n"
        until = time.monotonic() + 0.5
        while time.monotonic() < until:  # also on new connections
            assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
        ready, alive = client.get("/readyz"), client.get("/healthz")
        assert (ready.status_code, ready.headers["retry-after"], alive.status_code) == (503, "5", 200)
        assert ready.json()["database"]["detail"] == "not asked: this process is stopping"
        assert ready.headers["connection"] == alive.headers["connection"] == "close"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_drain(number):
    """An operator who does not want to wait sends the signal again."""
    with running_server(drain=60) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "stopping\n"
        process.send_signal(number)
        assert process.wait(20) == 0


def test_a_request_in_transit_when_the_port_closes_is_answered():
    """An established connection has time to send its request."""
    with running_server() as (process, url):
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            process.send_signal(signal.SIGTERM)
            assert process.stdout.readline() == "stopping\n"
            deadline = time.monotonic() + 10
            while not is_free(port):
                assert time.monotonic() < deadline
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert process.wait(20) == 0
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_an_invalid_http_path_is_answered_over_the_wire():
    """The server does not resolve dots, and an invalid Host gets a problem response."""
    with running_server() as (_, url):
        port = int(url.rpartition(":")[2])
        for target, host, status in (("/api/v1/workflows/../../../healthz", "x", 404), ("/healthz", "a b", 400)):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                answer = b"".join(iter(lambda: connection.recv(65_536), b""))
            assert answer.startswith(f"HTTP/1.1 {status} ".encode())
            assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    ("header", "status"), [("Content-Length: 99999999", 413), ("Content-Encoding: gzip\r\nContent-Length: 5", 415)]
)
def test_a_body_that_will_be_rejected_is_not_read(header, status):
    """The headers suffice: the response comes before the first byte of the body."""
    with running_server() as (_, url), socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 10) as wire:
        head = f"POST /api/v1/workflows/register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{header}\r\n\r\n"
        wire.sendall(head.encode())
        assert wire.recv(65_536).startswith(f"HTTP/1.1 {status}".encode())


def test_a_client_with_a_large_body_can_read_its_413():
    """A client that sends the whole body first reads the response, and not a reset connection."""
    with running_server() as (_, url):
        answer = httpx.post(
            f"{url}/api/v1/workflows/register",
            content=b" " * 8_000_000,
            headers={"Content-Type": "application/json"},
            trust_env=False,
        )
    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_a_chunked_body_over_the_limit_is_413_over_the_wire():
    """The limit also applies without a Content-Length, and the client can read the response."""
    with running_server() as (_, url):
        chunks = (b" " * 65_536 for _ in range(64))
        answer = httpx.post(
            f"{url}/api/v1/workflows/a.b/run", content=chunks, headers={"Content-Type": "application/json"}
        )
    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")
