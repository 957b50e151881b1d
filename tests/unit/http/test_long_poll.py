"""Tests of waiting for a change of a run over HTTP: immediate delivery, no thread per client, resumption, and shutdown."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.http_served import serving
from workflow_adapters.remote import RemoteWorkflowApi
from workflow_core.api import RunFilters
from workflow_core.domain.run import RunStatus
from workflow_core.testing.api.subject import NAME, ApiWorld, a_registration
from workflow_core.usecases.context import require_run
from workflow_core.usecases.queries.long_poll import wait_for_change
from workflow_entrypoints.http import create_app
from workflow_entrypoints.http.long_poll import preferred_wait, version_of
from workflow_entrypoints.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = "/api/v1/workflows"
MANY = 200


class Served:
    """An active run, over a real server; ``change`` changes it."""

    def __init__(self, url: str, world: ApiWorld, app: Any) -> None:
        self.world, self.app = world, app
        self.client = httpx.Client(base_url=url, timeout=30, trust_env=False)
        given = a_registration()
        world.service.register(given)
        self.run_id = world.service.run(NAME).run_id
        self.path = f"{ROOT}/runs/{self.run_id}"

    @property
    def database(self) -> Any:
        return self.world.service.context.db

    def follow(self) -> None:
        """Act as a worker that follows Airflow, so that reads rely on the database."""
        self.world.sweeper.sweep()

    def change(self) -> None:
        """Advance the run, so that its row changes as after a worker's sweep."""
        self.world.clock.sleep(2)
        self.world.sweeper.sweep()

    def when_waited_for(self, action: Any) -> None:
        """Call ``action`` once the version of the run has been requested, so that each later change ends the wait,
        regardless of the machine's speed.
        """
        asked, versions = threading.Event(), self.database.workflows.run_versions

        def recorded_versions(*run_ids: Any) -> Any:
            answer = versions(*run_ids)
            asked.set()
            return answer

        def later() -> None:
            if asked.wait(20):
                action()

        self.database.workflows.run_versions = recorded_versions
        threading.Thread(target=later).start()

    def after(self, seconds: float, action: Any) -> threading.Thread:
        """Call ``action`` after some seconds, while the client waits."""
        timer = threading.Timer(seconds, action)
        timer.start()
        return timer


@contextmanager
def served(**settings: Any) -> Iterator[Served]:
    world = ApiWorld()
    with serving() as board:
        app = create_app(world.service, Settings(user="x", **settings))
        board.app = app
        server = Served(board.url, world, app)
        server.follow()
        try:
            yield server
        finally:
            app.is_draining = True  # ends the remaining waits
            server.client.close()


def events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """The events of a stream, without comments and blank lines."""
    event: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def test_without_wait_the_response_is_immediate():
    """The response contains the ETag that a later wait may name."""
    with served() as run:
        answer = run.client.get(run.path)
        assert (answer.status_code, answer.json()["status"]) == (200, "PENDING")
        assert answer.headers["ETag"].startswith('W/"')


@pytest.mark.parametrize("how", [{"params": {"wait": 20}}, {"headers": {"Prefer": "respond-async, wait=20"}}])
def test_a_change_ends_the_wait_at_once(how):
    """The response arrives long before the end of the wait."""
    with served() as run:
        run.when_waited_for(run.change)
        began = time.monotonic()
        answer = run.client.get(run.path, **how)
        assert time.monotonic() - began < 10
        assert answer.json()["status"] == "RUNNING"
        assert answer.headers.get("Preference-Applied") == ("wait=20" if "headers" in how else None)


def test_a_wait_without_a_change_returns_the_same_status():
    """When the time is over, the unchanged status is the response."""
    with served() as run:
        began = time.monotonic()
        answer = run.client.get(run.path, params={"wait": 1})
        assert 1 <= time.monotonic() - began < 10
        assert (answer.status_code, answer.json()["status"]) == (200, "PENDING")


def test_an_ended_run_is_not_waited_for():
    """The status of an ended run does not change."""
    with served() as run:
        run.world.clock.sleep(60)
        run.follow()
        began = time.monotonic()
        assert run.client.get(run.path, params={"wait": 30}).json()["status"] == "SUCCESS"
        assert time.monotonic() - began < 10


def test_a_change_between_two_requests_is_not_missed():
    """A client that sends the ETag of the last response gets a newer one at once."""
    with served() as run:
        tag = run.client.get(run.path, params={"wait": 1}).headers["ETag"]
        run.change()
        began = time.monotonic()
        answer = run.client.get(run.path, params={"wait": 30}, headers={"If-None-Match": tag})
        assert time.monotonic() - began < 10
        assert answer.json()["status"] == "RUNNING"
        assert answer.headers["ETag"] != tag


@pytest.mark.parametrize("wait", ["61", "-1", "1.5", "x", ""])
def test_an_invalid_wait_is_rejected(wait):
    """The error names the field."""
    with served() as run:
        answer = run.client.get(run.path, params={"wait": wait})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "wait")


def test_a_missing_run_is_not_waited_for():
    """The answer is an immediate 404, both for a wait and for a stream."""
    with served() as run:
        for path in ("", "/events"):
            answer = run.client.get(f"{ROOT}/runs/no.such_20260101_000000{path}", params={} if path else {"wait": 5})
            assert (answer.status_code, answer.json()["code"]) == (404, "WORKFLOW_RUN_NOT_FOUND")


def test_a_stream_ends_with_the_run():
    """The stream contains the current status, then each change with an id, and ends when the run ends."""
    with served() as run, run.client.stream("GET", f"{run.path}/events") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        found = []
        for event in events(stream.iter_lines()):
            found.append((event["event"], json.loads(event["data"])["status"], int(event["id"])))
            run.world.clock.sleep(2 if len(found) == 1 else 60)
            run.follow()
    statuses = [status for _, status, _ in found]
    assert (statuses[0], statuses[-1]) == ("PENDING", "SUCCESS")
    assert "RUNNING" in statuses
    ids = [number for *_, number in found]
    assert ids == sorted(set(ids))


def test_a_stream_resumes_where_it_broke_off():
    """Events that the client has received are not sent again, missed ones are; after the end of the run there are none."""
    with served() as run:
        with run.client.stream("GET", f"{run.path}/events") as stream:
            first = next(events(stream.iter_lines()))
        run.change()
        with run.client.stream("GET", f"{run.path}/events", headers={"Last-Event-ID": first["id"]}) as stream:
            second = next(events(stream.iter_lines()))
        assert json.loads(second["data"])["status"] == "RUNNING"
        run.world.clock.sleep(60)
        run.follow()
        with run.client.stream("GET", f"{run.path}/events", headers={"Last-Event-ID": second["id"]}) as stream:
            *_, last = events(stream.iter_lines())
        answer = run.client.get(f"{run.path}/events", headers={"Last-Event-ID": last["id"]})
        assert (answer.status_code, answer.content) == (204, b"")


def test_many_clients_wait_without_holding_a_thread():
    """Half of the clients wait and half follow the stream; other requests are answered in the meantime, and a change
    reaches all clients.
    """
    with served(threads=4) as run:

        async def wait(client: httpx.AsyncClient) -> str:
            return str((await client.get(run.path, params={"wait": 60})).json()["status"])

        async def follow(client: httpx.AsyncClient) -> str:
            async with client.stream("GET", f"{run.path}/events") as stream:
                async for line in stream.aiter_lines():
                    if line.startswith("data") and '"RUNNING"' in line:
                        return "RUNNING"
            return "nothing"

        async def all_clients() -> tuple[list[str], int, float]:
            limits = httpx.Limits(max_connections=MANY + 10)
            before = threading.active_count()
            async with httpx.AsyncClient(
                base_url=str(run.client.base_url), timeout=60, trust_env=False, limits=limits
            ) as client:
                tasks = [asyncio.create_task(wait(client) if n % 2 else follow(client)) for n in range(MANY)]
                while len(run.app.waiting) < MANY:  # noqa: ASYNC110 - the server has no event for this
                    await asyncio.sleep(0.05)
                threads = threading.active_count() - before
                began = time.monotonic()
                (await client.get("/api/v1/workflows")).raise_for_status()
                took = time.monotonic() - began
                await asyncio.to_thread(run.change)
                return list(await asyncio.gather(*tasks)), threads, took

        statuses, threads, took = asyncio.run(all_clients())
        assert statuses == ["RUNNING"] * MANY
        assert threads <= 16  # the thread pools of client and server; no thread for each client
        assert took < 10


def test_one_query_serves_all_waiting_clients(monkeypatch):
    """The number of queries does not grow with the number of clients and runs."""
    with served() as run:
        asked: list[int] = []
        real = run.database.workflows.run_versions

        def counted(run_ids: Any) -> Any:
            asked.append(len(list(run_ids)))
            return real(run_ids)

        async def all_clients() -> None:
            async with httpx.AsyncClient(base_url=str(run.client.base_url), timeout=60, trust_env=False) as client:
                monkeypatch.setattr(run.database.workflows, "run_versions", counted)
                await asyncio.gather(*(client.get(run.path, params={"wait": 3}) for _ in range(40)))

        asyncio.run(all_clients())
        assert len(asked) <= 40 + 10  # one for each client on arrival, then two a second for all


def test_the_number_of_waiting_clients_is_limited():
    """Further clients get 503 with Retry-After; requests without a wait are answered."""
    with served(max_waiting=1) as run:
        waits = threading.Thread(target=run.client.get, args=(run.path,), kwargs={"params": {"wait": 3}})
        waits.start()
        while not len(run.app.waiting):
            time.sleep(0.01)
        for path, params in ((run.path, {"wait": 5}), (f"{run.path}/events", {})):
            answer = httpx.get(f"{run.client.base_url}{path}", params=params, trust_env=False)
            assert (answer.status_code, answer.json()["code"]) == (503, "TOO_MANY_WAITING")
            assert int(answer.headers["Retry-After"]) > 0
        assert httpx.get(f"{run.client.base_url}{run.path}", trust_env=False).status_code == 200
        waits.join()


def test_waits_end_when_the_server_stops():
    """A wait returns the last status and a stream ends, so that the client can reconnect to another replica."""
    with served() as run:
        run.when_waited_for(lambda: setattr(run.app, "is_draining", True))
        began = time.monotonic()
        assert run.client.get(run.path, params={"wait": 60}).json()["status"] == "PENDING"
        with run.client.stream("GET", f"{run.path}/events", headers={"Last-Event-ID": "0"}) as stream:
            list(stream.iter_lines())
        assert time.monotonic() - began < 20


def test_without_a_worker_a_waiting_request_polls_airflow():
    """No other process would notice that the run progresses."""
    with served() as run:
        run.world.clock.sleep(10)  # the last sweep of a worker is this old
        run.when_waited_for(lambda: run.world.clock.sleep(2))
        answer = run.client.get(run.path, params={"wait": 20})
        assert answer.json()["status"] in {"RUNNING", "SUCCESS"}


def test_waits_survive_a_database_outage():
    """The response arrives after the database is available again."""
    with served() as run:

        def away_for_a_while() -> None:
            run.database.go_down()
            time.sleep(1.2)
            run.database.come_back()
            run.change()

        run.when_waited_for(lambda: run.after(0.1, away_for_a_while))
        assert run.client.get(run.path, params={"wait": 20}).json()["status"] == "RUNNING"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("wait=10", 10),
        ("respond-async, wait = 10", 10),
        ("wait=10; x=y", 10),
        ("WAIT=5", 5),
        ("wait=500", 60),
        ("wait=x", 0),
        ("await=5", 0),
        ("wait=-5", 0),
    ],
)
def test_prefer(header, seconds):
    """The header is a preference (RFC 7240), so that invalid values are ignored."""
    assert preferred_wait(header, 60) == seconds


@pytest.mark.parametrize(
    ("event_id", "version"),
    [("7", 7), (None, None), ("", None), ("x", None), ("-1", None), ('"7"', None), ("9" * 40, None)],
)
def test_versions(event_id, version):
    """An unknown event id is ignored."""
    assert version_of(event_id) == version


def test_the_remote_client_waits():
    """The client's timeout is extended by the requested wait."""
    with served() as run, RemoteWorkflowApi(str(run.client.base_url), read_timeout=2) as api:
        run.when_waited_for(lambda: run.after(4, run.change))
        assert api.status(run.run_id, RunFilters(wait=20)).status is RunStatus.RUNNING
        assert api.status(run.run_id, RunFilters(wait=1)).status is RunStatus.RUNNING


def test_waiting_for_a_status_works_in_process():
    """The library blocks the caller's thread."""
    world = ApiWorld()
    world.service.register(a_registration())
    run = world.service.run(NAME)
    context = world.service.context
    while (seen := require_run(run.run_id, context)).status is RunStatus.PENDING:
        assert wait_for_change(run.run_id, seen.version, 30, context) != seen.version
    assert seen.status is RunStatus.RUNNING
    assert wait_for_change("no.such_20260101_000000", None, 1, context) is None
