"""``make bench-keys``: send thousands of POSTs, lose a fifth of the responses, and repeat each until it is answered.

A real HTTP server runs on loopback over a real database, with Airflow in memory. The benchmark counts the effects that
happened twice and the requests that got two different responses; both counts must be zero.
``tests/e2e/test_lost_answers.py`` does the same with fewer requests.
"""

from __future__ import annotations

import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx
import uvicorn
from attrs import Factory, define

from devstack.postgres import LocalPostgres
from workflow_adapters.clock import SystemClock
from workflow_adapters.sql import SqlDatabase, make_engine, upgrade
from workflow_core.api import RegisterRequest
from workflow_core.domain.filters import HistoryFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.fakes import InMemoryAirflow, InMemoryStorage
from workflow_core.service import WorkflowService
from workflow_entrypoints.http import create_app
from workflow_entrypoints.http.server import listen
from workflow_entrypoints.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

POSTS: Final = 10_000
THREADS: Final = 8
LOST: Final = 0.2
EVERY_REGISTRATION: Final = 10
"""One POST in this many is a registration, the next revision of its thread's workflow; the others start runs."""

SPEC: Final = "version: v1\nname: {name}\nowner: o\nschedule: {{cron: 0 6 1 1 *, timezone: UTC}}\nparams: {{n: {n}}}\n"


class Lossy(httpx.BaseTransport):
    """A transport that loses responses.

    It loses half of them after they arrived, and half by closing the connection before, so that the repeat meets the
    request while it is under way.
    """

    def __init__(self, seed: int) -> None:
        self._inner = httpx.HTTPTransport()
        self._random = random.Random(seed)
        self.lost = 0
        self.swallowed: list[httpx.Response] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; raises the error of a broken connection if its response is to be lost."""
        dice = self._random.random()
        if dice < LOST / 2:
            self._send_and_hang_up(request)
        else:
            response = self._inner.handle_request(request)
            if dice >= LOST:
                return response
            response.read()
            self.swallowed.append(response)
        self.lost += 1
        msg = "lost"
        raise httpx.ReadError(msg)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _send_and_hang_up(self, request: httpx.Request) -> None:
        place = urlsplit(str(request.url))
        head = f"{request.method} {place.path} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in request.headers.items()
        )
        with socket.create_connection((place.hostname or "", place.port or 0)) as connection:
            connection.sendall(f"{head}\r\n".encode() + request.read())
            if self._random.random() < 0.5:  # some of them after the server has begun to work on it
                time.sleep(0.005)


@define
class Outcome:
    """The result of a run. ``differing`` requests got two different responses; ``problems`` describes wrong effects."""

    posts: int = 0
    sent: int = 0
    lost: int = 0
    replayed: int = 0
    in_use: int = 0
    differing: list[str] = Factory(list)
    other: Counter[int] = Factory(Counter)
    runs: set[str] = Factory(set)
    revisions: Counter[str] = Factory(Counter)
    problems: list[str] = Factory(list)
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether every request had exactly one effect and one response."""
        return not (self.differing or self.other or self.problems)


def retried_posts(url: str, posts: int, *, seed: int = 1) -> Outcome:
    """Send the POSTs, each under its own key, until each is answered, and once more to compare the responses."""
    outcome, lock = Outcome(), threading.Lock()
    began = time.monotonic()

    def work(thread: int) -> None:
        transport = Lossy(seed * 1000 + thread)
        with httpx.Client(base_url=url, transport=transport, timeout=60) as client:
            for number in range(thread, posts, THREADS):
                _one(client, transport, outcome, lock, thread, number)
        with lock:
            outcome.lost += transport.lost

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    outcome.seconds = time.monotonic() - began
    return outcome


def _one(  # noqa: PLR0913, PLR0917 - the parts of one request
    client: httpx.Client, transport: Lossy, outcome: Outcome, lock: threading.Lock, thread: int, number: int
) -> None:
    registers = (number // THREADS) % EVERY_REGISTRATION == 0
    name = f"lossy.t{thread}" if registers else f"lossy.run{thread % 2}"
    path = "/api/v1/workflows/" + ("register" if registers else f"{name}/run")
    spec = SPEC.format(name=name, n=number)
    body = {"dataset_name": name, "yaml_content": spec, "force": True} if registers else {}
    seen: set[tuple[int, bytes]] = set()
    local = Outcome()
    answered = 0
    while answered < 2:
        transport.swallowed.clear()
        local.sent += 1
        answers: list[httpx.Response] = []
        try:
            answers.append(client.post(path, json=body, headers={"Idempotency-Key": f"key-{number}"}))
        except httpx.ReadError:
            answers += transport.swallowed
        else:
            answered += answers[0].is_success
        for answer in answers:
            if answer.is_success:
                seen.add((answer.status_code, answer.content))
                local.replayed += "Idempotency-Replayed" in answer.headers
            elif answer.status_code == httpx.codes.CONFLICT and answer.json()["code"] == "IDEMPOTENCY_KEY_IN_USE":
                local.in_use += 1
                time.sleep(0.01)  # the response says one second, which would dominate the time of the benchmark
            else:
                local.other[answer.status_code] += 1
                answered += 2
    with lock:
        outcome.posts += 1
        outcome.sent += local.sent
        outcome.replayed += local.replayed
        outcome.in_use += local.in_use
        outcome.other += local.other
        if len(seen) > 1:
            outcome.differing.append(f"key-{number}")
        if registers:
            outcome.revisions[name] += 1
        elif seen:
            outcome.runs.add(httpx.Response(200, content=next(iter(seen))[1]).json()["run_id"])


@contextmanager
def served(engine: Engine) -> Iterator[tuple[str, WorkflowService, InMemoryAirflow]]:
    """Serve the service over this database on loopback, with two registered workflows."""
    upgrade(engine)
    clock, storage = SystemClock(), InMemoryStorage()
    airflow = InMemoryAirflow(storage=storage, clock=clock, queue_seconds=10_000)
    service = WorkflowService(database=SqlDatabase(engine), airflow=airflow, storage=storage, clock=clock)
    for number in range(2):
        name = f"lossy.run{number}"
        service.register(RegisterRequest(dataset_name=name, yaml_content=SPEC.format(name=name, n=0)))
    settings = Settings(port=0, user="bench@example.com")
    with listen(settings) as listener:
        options: dict[str, Any] = {"log_config": None, "access_log": False}
        server = uvicorn.Server(uvicorn.Config(create_app(service, settings), **options))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", service, airflow
        finally:
            server.should_exit = True
            thread.join(30)


def check_effects(outcome: Outcome, service: WorkflowService, airflow: InMemoryAirflow) -> None:
    """Count the effects in the database and in Airflow, and record each difference from the responses."""
    recorded = set()
    page = PageRequest(limit=500)
    while True:
        found = service.context.db.workflows.history(HistoryFilter(), page)
        recorded |= {run.run_id for run in found.items}
        if found.next_after is None:
            break
        page = PageRequest(limit=500, after=found.next_after)
    started = {run.run_id for run in airflow.changed_runs(datetime(2000, 1, 1, tzinfo=UTC), limit=10**9).runs}
    asked = outcome.posts - outcome.revisions.total()
    if not asked == len(recorded) == len(started) or recorded != outcome.runs or started != recorded:
        outcome.problems.append(
            f"{asked} runs were requested, {len(outcome.runs)} answered, {len(recorded)} recorded, {len(started)} in Airflow"
        )
    for name, expected in outcome.revisions.items():
        revision = service.workflow(name).revision
        if revision != expected:
            outcome.problems.append(f"{name} is at revision {revision} after {expected} registrations")


def lost_answers(engine: Engine, posts: int) -> Outcome:
    """Run the benchmark over this database."""
    with served(engine) as (url, service, airflow):
        outcome = retried_posts(url, posts)
        check_effects(outcome, service, airflow)
    return outcome


def main() -> None:
    """Run it on SQLite and on PostgreSQL; exits with 1 if an effect happened twice or a request got two responses."""
    posts = int(sys.argv[1]) if len(sys.argv) > 1 else POSTS
    print(
        "| Database | POSTs | sent | responses lost | replayed | under way | two different responses | done twice or not at all | time |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    good = True
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="workflow-keys-"))
        postgres = stack.enter_context(LocalPostgres(on_progress=lambda _: None))
        urls = {"SQLite": f"sqlite:///{Path(folder) / 'w.db'}", "PostgreSQL": postgres.create_database("workflows")}
        for kind, url in urls.items():
            engine = make_engine(url, pool_size=20)
            found = lost_answers(engine, posts)
            engine.dispose()
            cells = (
                found.posts,
                found.sent,
                found.lost,
                found.replayed,
                found.in_use,
                len(found.differing),
                len(found.problems),
            )
            print(f"| {kind} | {' | '.join(map(str, cells))} | {found.seconds:.0f} s |", flush=True)
            for problem in [*found.problems, *found.differing[:5], *(f"status {one}" for one in found.other)]:
                print(f"  {problem}", file=sys.stderr)
            good &= found.is_good
    sys.exit(not good)


if __name__ == "__main__":
    main()
