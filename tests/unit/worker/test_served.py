"""Tests of a worker's HTTP server: metrics for authenticated callers, and probes that detect a hung worker."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import httpx
import pytest

from devstack.ports import free_ports
from tests.unit.http.test_auth_tokens import stored_token
from workflow_core.errors import ConfigurationError
from workflow_core.fakes.tokens import InMemoryTokens
from workflow_core.testing.api.subject import ApiWorld
from workflow_entrypoints.http.worker_app import create_worker_app, serving_beside
from workflow_entrypoints.observability.metrics import Metrics
from workflow_entrypoints.settings import Settings
from workflow_entrypoints.worker import LONGEST_PASS, Worker


class Hanging:
    """A service whose sweep takes as long as the test wants."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.began = threading.Event()

    def sweep(self) -> Any:
        self.began.set()
        self.goes_on.wait(30)

    def sync_in_turn(self, *, caller: Any) -> Any:
        raise AssertionError(caller)

    def release_leadership(self) -> None:
        """Nothing is left."""


@pytest.fixture
def world():
    return ApiWorld()


def app_of(world: Any, worker: Any, tokens: Any = None, **settings: Any) -> Any:
    given = Settings(worker_metrics_port=free_ports(1)[0], **settings)
    return create_worker_app(worker, world.service, given, tokens=tokens, metrics=Metrics()), given


def get(port: Any, path: str, **headers: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers, trust_env=False)


def test_a_worker_serves_its_metrics_and_probes(world):
    """On loopback without a credential, for as long as it runs."""
    app, settings = app_of(world, Worker(Hanging(), interval=1))
    with serving_beside(app, settings) as port:
        assert "worker_pass_duration_seconds" in get(port, "/metrics").text
        assert get(port, "/healthz").json() == {"status": "ok", "silent_seconds": 0.0}
        assert get(port, "/readyz").json()["status"] == "ok"
        assert get(port, "/metrics", Host="evil.example.com").status_code == 403
        world.service.context.db.go_down()
        assert get(port, "/readyz").status_code == 503
    with pytest.raises(httpx.ConnectError):
        get(port, "/metrics")


def test_metrics_need_a_credential_where_the_service_needs_one(world):
    """The probes need none, and contain no details."""
    tokens = InMemoryTokens()
    _, headers = stored_token(tokens)
    app, settings = app_of(world, Worker(Hanging(), interval=1), tokens, auth="token", host="0.0.0.0")
    world.service.context.db.go_down()
    with serving_beside(app, settings) as port:
        assert get(port, "/metrics").status_code == 401
        assert get(port, "/metrics", **headers).status_code == 200
        assert get(port, "/healthz").status_code == 200
        assert get(port, "/readyz").json()["database"] == {"status": "unavailable", "detail": "unavailable"}


def test_beyond_loopback_only_with_authentication(world):
    """As the service."""
    app, settings = app_of(world, Worker(Hanging(), interval=1), host="0.0.0.0")
    with pytest.raises(ConfigurationError, match="WORKFLOWS_HOST"), serving_beside(app, settings):
        pass


def test_a_taken_port_is_named(world):
    """A worker does not run unseen."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        app, settings = app_of(world, Worker(Hanging(), interval=1))
        settings = settings.model_copy(update={"worker_metrics_port": other.getsockname()[1]})
        with pytest.raises(ConfigurationError, match="WORKFLOWS_WORKER_METRICS_PORT"), serving_beside(app, settings):
            pass


def test_without_a_port_nothing_is_served(world):
    """0 is none."""
    app, settings = app_of(world, Worker(Hanging(), interval=1))
    with serving_beside(app, settings.model_copy(update={"worker_metrics_port": 0})) as port:
        assert port is None


def test_a_worker_that_hangs_is_not_alive(world, monkeypatch):
    """A pass that takes longer than any may: the process has to be restarted. When it goes on, it is well again."""
    monkeypatch.setitem(LONGEST_PASS, "sweep", 0.2)
    hanging = Hanging()
    worker = Worker(hanging, interval=0.05)
    app, settings = app_of(world, worker)
    with serving_beside(app, settings) as port:
        worker.start()
        hanging.began.wait(10)
        until = time.monotonic() + 10
        while (answer := get(port, "/healthz")).status_code == 200:
            assert time.monotonic() < until
        assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
        hanging.goes_on.set()
        while get(port, "/healthz").status_code == 503:
            assert time.monotonic() < until
        worker.stop()
