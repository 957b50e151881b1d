"""Waiting for a change of a run over HTTP: told at once, no thread held, resumable, and over when the server is."""

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
    """A run that has not ended, over a real server; ``change`` has it change."""

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
        """As a worker that follows Airflow: from now on reads rely on it."""
        self.world.sweeper.sweep()

    def change(self) -> None:
        """The run makes a step: its row changes, as when a worker has seen it."""
        self.world.clock.sleep(2)
        self.world.sweeper.sweep()

    def once_waited_for(self, what: Any) -> None:
        """It happens as soon as the version of the run was asked for: whatever changes from then on ends the wait, however slow this is."""
        asked, versions = threading.Event(), self.database.workflows.run_versions

        def told(*run_ids: Any) -> Any:
            found = versions(*run_ids)
            asked.set()
            return found

        def later() -> None:
            if asked.wait(20):
                what()

        self.database.workflows.run_versions = told
        threading.Thread(target=later).start()

    def after(self, seconds: float, what: Any) -> threading.Thread:
        """Something that happens later, while the client waits."""
        timer = threading.Timer(seconds, what)
        timer.start()
        return timer


@contextmanager
def served(**settings: Any) -> Iterator[Served]:
    world = ApiWorld()
    with serving() as board:
        app = create_app(world.service, Settings(user="x", **settings))
        board.app = app
        found = Served(board.url, world, app)
        found.follow()
        try:
            yield found
        finally:
            app.is_draining = True  # whoever still waits is told
            found.client.close()


def events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """The events of a stream, comments and pauses left out."""
    event: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def test_without_wait_it_is_answered_at_once():
    """As ever, and with the ETag that a later wait may name."""
    with served() as run:
        answer = run.client.get(run.path)
        assert (answer.status_code, answer.json()["status"]) == (200, "PENDING")
        assert answer.headers["ETag"].startswith('W/"')


@pytest.mark.parametrize("how", [{"params": {"wait": 20}}, {"headers": {"Prefer": "respond-async, wait=20"}}])
def test_a_change_is_told_at_once(how):
    """Long before the time is over."""
    with served() as run:
        run.once_waited_for(run.change)
        began = time.monotonic()
        answer = run.client.get(run.path, **how)
        assert time.monotonic() - began < 10
        assert answer.json()["status"] == "RUNNING"
        assert answer.headers.get("Preference-Applied") == ("wait=20" if "headers" in how else None)


def test_after_the_time_the_same_is_told():
    """Nothing has changed, and that is the answer."""
    with served() as run:
        began = time.monotonic()
        answer = run.client.get(run.path, params={"wait": 1})
        assert 1 <= time.monotonic() - began < 10
        assert (answer.status_code, answer.json()["status"]) == (200, "PENDING")


def test_what_has_ended_is_not_waited_for():
    """It will not change."""
    with served() as run:
        run.world.clock.sleep(60)
        run.follow()
        began = time.monotonic()
        assert run.client.get(run.path, params={"wait": 30}).json()["status"] == "SUCCESS"
        assert time.monotonic() - began < 10


def test_a_change_between_two_requests_is_not_missed():
    """Whoever sends the ETag of the last answer is told at once that there is another."""
    with served() as run:
        tag = run.client.get(run.path, params={"wait": 1}).headers["ETag"]
        run.change()
        began = time.monotonic()
        answer = run.client.get(run.path, params={"wait": 30}, headers={"If-None-Match": tag})
        assert time.monotonic() - began < 10
        assert answer.json()["status"] == "RUNNING"
        assert answer.headers["ETag"] != tag


@pytest.mark.parametrize("wait", ["61", "-1", "1.5", "x", ""])
def test_a_wrong_wait_is_refused(wait):
    """The field is named."""
    with served() as run:
        answer = run.client.get(run.path, params={"wait": wait})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "wait")


def test_what_does_not_exist_is_not_waited_for():
    """Neither by waiting nor by following."""
    with served() as run:
        for path in ("", "/events"):
            answer = run.client.get(f"{ROOT}/runs/no.such_20260101_000000{path}", params={} if path else {"wait": 5})
            assert (answer.status_code, answer.json()["code"]) == (404, "WORKFLOW_RUN_NOT_FOUND")


def test_events_come_until_the_end():
    """The run as it is, then each change, each with an id, and then the stream ends by itself."""
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


def test_a_stream_goes_on_where_it_broke_off():
    """What the client has seen is not sent again, what it has missed is; after the end there is nothing more."""
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


def test_many_wait_and_none_holds_a_thread():
    """Half of them wait, half of them follow; others are answered meanwhile, and a change is told to all."""
    with served(threads=4) as run:

        async def wait(client: httpx.AsyncClient) -> str:
            return str((await client.get(run.path, params={"wait": 60})).json()["status"])

        async def follow(client: httpx.AsyncClient) -> str:
            async with client.stream("GET", f"{run.path}/events") as stream:
                async for line in stream.aiter_lines():
                    if line.startswith("data") and '"RUNNING"' in line:
                        return "RUNNING"
            return "nothing"

        async def everybody() -> tuple[list[str], int, float]:
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

        told, threads, took = asyncio.run(everybody())
        assert told == ["RUNNING"] * MANY
        assert threads <= 16  # those of the pools of both sides; none for each of them
        assert took < 10


def test_one_question_serves_all(monkeypatch):
    """However many wait for however many runs."""
    with served() as run:
        asked: list[int] = []
        real = run.database.workflows.run_versions

        def counted(run_ids: Any) -> Any:
            asked.append(len(list(run_ids)))
            return real(run_ids)

        async def everybody() -> None:
            async with httpx.AsyncClient(base_url=str(run.client.base_url), timeout=60, trust_env=False) as client:
                monkeypatch.setattr(run.database.workflows, "run_versions", counted)
                await asyncio.gather(*(client.get(run.path, params={"wait": 3}) for _ in range(40)))

        asyncio.run(everybody())
        assert len(asked) <= 40 + 10  # one for each as it comes, and then two a second for all of them


def test_no_more_may_wait_than_the_setting_says():
    """Others are told to come later; without waiting they are answered."""
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


def test_whoever_waits_when_the_server_ends_is_told():
    """A wait with what is known, a stream with its end: the client comes again, elsewhere."""
    with served() as run:
        run.once_waited_for(lambda: setattr(run.app, "is_draining", True))
        began = time.monotonic()
        assert run.client.get(run.path, params={"wait": 60}).json()["status"] == "PENDING"
        with run.client.stream("GET", f"{run.path}/events", headers={"Last-Event-ID": "0"}) as stream:
            list(stream.iter_lines())
        assert time.monotonic() - began < 20


def test_without_a_worker_the_one_who_waits_has_airflow_looked_at():
    """Nobody else would see that the run goes on."""
    with served() as run:
        run.world.clock.sleep(10)  # so long ago was the last pass of a worker
        run.once_waited_for(lambda: run.world.clock.sleep(2))
        answer = run.client.get(run.path, params={"wait": 20})
        assert answer.json()["status"] in {"RUNNING", "SUCCESS"}


def test_a_database_that_is_away_keeps_them_waiting():
    """It comes back, and so does the answer."""
    with served() as run:

        def away_for_a_while() -> None:
            run.database.go_down()
            time.sleep(1.2)
            run.database.come_back()
            run.change()

        run.once_waited_for(lambda: run.after(0.1, away_for_a_while))
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
    """RFC 7240; it is a wish, so what makes no sense is passed over."""
    assert preferred_wait(header, 60) == seconds


@pytest.mark.parametrize(
    ("event_id", "version"),
    [("7", 7), (None, None), ("", None), ("x", None), ("-1", None), ('"7"', None), ("9" * 40, None)],
)
def test_versions(event_id, version):
    """An id that is none of ours says nothing."""
    assert version_of(event_id) == version


def test_the_remote_client_waits():
    """Longer than its own patience for an answer, if that is what was asked for."""
    with served() as run, RemoteWorkflowApi(str(run.client.base_url), read_timeout=2) as api:
        run.once_waited_for(lambda: run.after(4, run.change))
        assert api.status(run.run_id, RunFilters(wait=20)).status is RunStatus.RUNNING
        assert api.status(run.run_id, RunFilters(wait=1)).status is RunStatus.RUNNING


def test_the_status_is_waited_for_in_this_process_too():
    """The library holds the caller's thread."""
    world = ApiWorld()
    world.service.register(a_registration())
    run = world.service.run(NAME)
    context = world.service.context
    while (seen := require_run(run.run_id, context)).status is RunStatus.PENDING:
        assert wait_for_change(run.run_id, seen.version, 30, context) != seen.version
    assert seen.status is RunStatus.RUNNING
    assert wait_for_change("no.such_20260101_000000", None, 1, context) is None
