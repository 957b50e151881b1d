"""One run of the chaos test: start all systems, apply load and faults, let the service settle, and check."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from devstack.postgres import LocalPostgres
from devstack.process import no_progress
from tests.chaos.checker import Verdict, check
from tests.chaos.crash_points import Points, operation_of, use_case_of
from tests.chaos.faults import Link, Weather
from tests.chaos.fleet import ROOT, Fleet, restart
from tests.chaos.instrumented_cli import FOLDER, WITHOUT
from tests.chaos.journal import Journal, Outcome
from tests.chaos.lease_log import LeaseLog, broken_leases
from tests.chaos.load import POOL, Client
from tests.chaos.proxy import Proxies
from tests.chaos.systems import Systems

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from devstack.airflow import LocalAirflow
    from devstack.s3 import LocalS3

SETTLES_WITHIN: Final = 60.0
"""Seconds from the last fault until nothing may be left unsettled."""

ARMED: Final = {True: 2, False: 3}
"""How many crash points of the worker's sweep, and of requests, are armed at the same time, each for :data:`_TURN` seconds before
the next one.
"""

_TURN: Final = 8.0

_FEW: Final = 8
"""If at most this number of points of the sweep remain, all are armed at the same time: some are rarely reached."""

_LULL: Final = 180.0
"""Maximum seconds without requests while points of the sweep remain at which no process has died."""

_CAUSES: Final = {
    "backfill": "backfill",
    "retry": "retry",
    "stop": "stop",
    "teardown": "unregister",
    "workflow": "pause",
    "drain": "pause",
}
"""Which operation leaves work for a use case of the sweep. Only a hint: it makes a full run shorter."""

SETTINGS: Final = {
    "AIRFLOW_READ_TIMEOUT": "3",
    "AIRFLOW_TOTAL_TIMEOUT": "5",
    "WORKFLOWS_REGISTER_WAIT": "3",
    "WORKFLOWS_STOP_GRACE": "2",
    "WORKFLOWS_SWEEP_INTERVAL": "1",
    "WORKFLOWS_SYNC_INTERVAL": "5",
    "WORKFLOWS_USER": "chaos@example.com",
}
"""Of the service. Shorter than the defaults, so that more happens in a minute; nothing that a promise rests on is switched off."""


@frozen(kw_only=True)
class Plan:
    """The size of a run, and the safeguard of the product that is switched off."""

    seed: int
    least: float = 60.0
    most: float = 600.0
    operations: int = 300
    kills: int = 100
    every_point: bool = True
    sqlite: bool = False
    without: str | None = None
    keys: bool = False
    settings: Mapping[str, str] = field(factory=dict)
    clients: int = 5
    restarts: float = 35.0
    between_kills: float = 6.0
    stills: float | None = 45.0


@frozen(kw_only=True)
class Surroundings:
    """The real servers that the run uses."""

    airflow: LocalAirflow
    s3: LocalS3
    bucket: str
    loaders: int


@frozen(kw_only=True)
class Result:
    """The events and the verdict of a run."""

    plan: Plan
    journal: Journal
    verdict: Verdict
    points: Sequence[str]
    died: Sequence[str]
    in_calm: frozenset[str]
    came_again: frozenset[str]
    random_kills: int
    restarts: int
    stills: int
    weather: Weather
    settled_after: float | None
    chaos_seconds: float

    @property
    def missed(self) -> list[str]:
        """Crash points that were reached without and with faults, but at which no process has died.

        A few points are reached in the calm phase only by chance, such as when Airflow drops a DAG during its removal.
        """
        return sorted((self.in_calm & self.came_again) - set(self.died)) if self.plan.every_point else []

    @property
    def kills(self) -> int:
        return self.random_kills + len(self.died)


def run(plan: Plan, around: Surroundings, folder: Path, *, say: Callable[[str], None] = no_progress) -> Result:
    """Run the plan. All processes that this function starts have ended when it returns; the logs are in ``folder``."""
    with contextlib.ExitStack() as stack:
        return _Chaos(plan, around, folder, stack, say).run()


class _Chaos:
    def __init__(
        self,
        plan: Plan,
        around: Surroundings,
        folder: Path,
        stack: contextlib.ExitStack,
        say: Callable[[str], None],
    ) -> None:
        self._plan, self._around, self._folder, self._say = plan, around, folder, say
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)  # PostgreSQL runs as another user if this process runs as root
        tag = f"s{plan.seed}{secrets.token_hex(2)}"  # the servers may have been used before
        self._journal = Journal()
        self._points = Points(folder / "points")
        self._points.prepare()
        self._lease_log = LeaseLog(folder / "points")
        self._lease_log.prepare()
        self._weather = Weather(plan.seed, plan.most)
        self._postgres = None if plan.sqlite else stack.enter_context(self._own_postgres())
        self._proxies = stack.enter_context(Proxies(self._weather, self._targets()))
        if self._postgres is not None:
            self._postgres.create_database("workflows")
        self._environment = self._settings()
        subprocess.run(
            [sys.executable, "-m", "workflow_entrypoints.cli.main", "db", "upgrade"],
            env={**self._environment, "WORKFLOWS_DATABASE_URL": self._database_url()},
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
        self._systems = stack.enter_context(
            contextlib.closing(
                Systems(
                    database_url=self._database_url,
                    airflow=around.airflow,
                    s3=around.s3,
                    bucket=around.bucket,
                    prefix=f"chaos.{tag}_",
                )
            )
        )
        self._make_pool()
        servers, workers = (1, 0) if plan.sqlite else (2, 2)
        self._fleet = stack.enter_context(
            Fleet(
                self._environment,
                servers=servers,
                workers=workers,
                folder=folder,
                seed=plan.seed,
                is_spared=self._points.is_spared,
            )
        )
        self._clients = [
            stack.enter_context(
                contextlib.closing(
                    Client(
                        number,
                        tag=tag,
                        seed=plan.seed,
                        urls=self._fleet.urls,
                        journal=self._journal,
                        wanted=self._wanted,
                        keys=plan.keys,
                        publish=self._systems.put,
                        withdraw=self._systems.delete,
                    )
                )
            )
            for number in range(plan.clients)
        ]
        self._restarts = 0
        self._over, self._done = threading.Event(), threading.Event()
        self._in_calm: frozenset[str] = frozenset()

    # Setup

    def _own_postgres(self) -> LocalPostgres:
        """A separate PostgreSQL, because the guarantees do not cover restarts of Airflow's."""
        return LocalPostgres(self._folder / "postgres", settings={"fsync": "off"})

    def _targets(self) -> dict[Link, Callable[[], int]]:
        around, postgres = self._around, self._postgres
        found = {Link.AIRFLOW: lambda: around.airflow.port, Link.STORE: lambda: around.s3.port}
        return found if postgres is None else {**found, Link.DATABASE: lambda: postgres.port}

    def _database_url(self) -> str:
        """The current URL of the database itself, without the proxy."""
        return (
            f"sqlite:///{self._folder / 'workflows.db'}" if self._postgres is None else self._postgres.url("workflows")
        )

    def _settings(self) -> dict[str, str]:
        airflow, ports = self._around.airflow, self._proxies.ports
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("WORKFLOWS_", "AIRFLOW_", "AWS_"))
        }
        return {
            **kept,
            **self._around.s3.environment,
            **SETTINGS,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports[Link.STORE]}",
            "AIRFLOW_BASE_URL": f"http://127.0.0.1:{ports[Link.AIRFLOW]}",
            "AIRFLOW_USERNAME": airflow.username,
            "AIRFLOW_PASSWORD": airflow.password,
            "WORKFLOWS_DATABASE_URL": self._database_url_of_service(),
            "WORKFLOWS_STORAGE_URL": f"s3://{self._around.bucket}/workflows",
            "WORKFLOWS_LOADERS": str(self._around.loaders),
            FOLDER: str(self._folder / "points"),
            **({WITHOUT: self._plan.without} if self._plan.without else {}),
            **self._plan.settings,
        }

    def _database_url_of_service(self) -> str:
        url = self._database_url()
        return (
            url
            if self._postgres is None
            else url.replace(f":{self._postgres.port}/", f":{self._proxies.ports[Link.DATABASE]}/")
        )

    def _make_pool(self) -> None:
        """Create the pool; in both versions of Airflow's API an existing pool is a 409."""
        pool = {"name": POOL, "slots": 0, "include_deferred": False}
        answer = self._systems.http.post("/pools", json=pool)
        if answer.status_code != 409:
            answer.raise_for_status()

    # Phases

    def run(self) -> Result:
        began = time.monotonic()
        with ThreadPoolExecutor(self._plan.clients) as pool:
            list(pool.map(Client.everything_once, self._clients))
        self._in_calm = frozenset(self._points.met())
        self._points.begin_again()
        self._say(f"calm: {len(self._journal)} operations, {len(self._in_calm)} crash points, {_since(began)}")
        began = time.monotonic()
        self._weather.begin()
        self._chaos()
        self._points.disarm()
        self._lease_log.cancel_stall()
        self._weather.end()
        ended = time.monotonic()
        self._say(f"chaos: {len(self._journal)} operations, {self._kills} kills, {_since(began)}")
        left, settled = self._settle(ended)
        self._journal.write(self._folder / "journal.jsonl")
        return Result(
            plan=self._plan,
            journal=self._journal,
            verdict=check(self._journal, self._systems.snapshot(), left, broken_leases(self._lease_log.events())),
            points=self._points.met(),
            died=self._points.died(),
            in_calm=self._in_calm,
            came_again=self._points.met_again(),
            random_kills=self._fleet.kills,
            restarts=self._restarts,
            stills=self._lease_log.stills(),
            weather=self._weather,
            settled_after=settled,
            chaos_seconds=ended - began,
        )

    def _chaos(self) -> None:
        breakers = [self._kill_at_points, self._kill_at_random, self._report]
        if self._plan.stills is not None:
            breakers.append(partial(self._stall_workers, self._plan.stills))
        if self._postgres is not None:
            breakers.append(partial(self._restart_database, self._postgres))
        with ThreadPoolExecutor(len(breakers) + len(self._clients)) as pool:
            try:
                breaking = [pool.submit(breaker) for breaker in breakers]
                working = [pool.submit(client.work, self._over) for client in self._clients]
                began = time.monotonic()
                while not self._enough(time.monotonic() - began) and not any(
                    future.done() for future in (*breaking, *working)
                ):
                    time.sleep(0.2)
                self._over.set()
                for future in working:
                    future.result()
                list(pool.map(Client.wind_down, self._clients))
                self._lull()
            finally:
                self._over.set()
                self._done.set()
            for future in breaking:
                future.result()

    def _lull(self) -> None:
        """Wait for the crash points in work that the worker does only when it has little else to do."""
        until = time.monotonic() + _LULL
        while self._plan.every_point and self._to_go() and time.monotonic() < until:
            time.sleep(0.2)

    def _to_go(self) -> set[str]:
        """The crash points of the calm phase at which no process has died yet."""
        return set(self._in_calm - set(self._points.died()))

    def _enough(self, seconds: float) -> bool:
        plan = self._plan
        return seconds > plan.most or (
            seconds > plan.least
            and len(self._journal) >= plan.operations
            and self._kills >= plan.kills
            and not (plan.every_point and any(not _is_of_sweep(point) for point in self._to_go()))
        )

    @property
    def _kills(self) -> int:
        return self._fleet.kills + len(self._points.died())

    def _wanted(self) -> set[str]:
        """The operations that lead to the armed crash points; for a point of the sweep, the operation that causes its
        work.
        """
        return {
            _CAUSES.get(use_case_of(point), "run") if _is_of_sweep(point) else operation_of(point)
            for point in self._points.armed()
        }

    def _kill_at_points(self) -> None:
        """Arm a few points at a time, starting with those of the calm phase; a point that is not reached in its turn is
        armed again after the others.
        """
        random = Random(f"{self._plan.seed} points")
        turns: dict[str, int] = {}
        since: dict[str, float] = {}
        while not self._done.wait(0.2):
            dead, armed, now = set(self._points.died()), self._points.armed(), time.monotonic()
            for point in armed:
                if now - since[point] > _TURN:
                    self._points.disarm(point)
            open_ = [point for point in self._points.met() if point not in dead and point not in armed]
            open_.sort(key=lambda point: (point not in self._in_calm, turns.get(point, 0), random.random()))
            few = {point for point in self._to_go() if _is_of_sweep(point)}
            for sweeps, at_most in ARMED.items():
                most = max(at_most, len(few)) if sweeps and len(few) <= _FEW else at_most
                free = most - sum(_is_of_sweep(point) is sweeps for point in armed)
                for point in [point for point in open_ if _is_of_sweep(point) is sweeps][: max(0, free)]:
                    turns[point], since[point] = turns.get(point, 0) + 1, now
                    self._points.arm(point)

    def _kill_at_random(self) -> None:
        random = Random(f"{self._plan.seed} moments")
        while not self._over.wait(random.uniform(0.2, 1.8) * self._plan.between_kills):
            self._fleet.kill_one()

    def _stall_workers(self, every: float) -> None:
        """Stall one worker at a time, so that others can take over."""
        leader = True
        while not self._over.wait(every):
            if not self._lease_log.is_stall_pending() and not self._points.is_any_spared():
                self._lease_log.request_stall(leader=leader)
                leader = not leader

    def _restart_database(self, postgres: LocalPostgres) -> None:
        random = Random(f"{self._plan.seed} restarts")
        while not self._over.wait(random.uniform(0.5, 1.5) * self._plan.restarts):
            restart(postgres, crash=self._restarts % 2 == 0)
            self._restarts += 1

    def _report(self) -> None:
        while not self._done.wait(15):
            self._say(
                f"  {len(self._journal)} operations ({self._journal.count(Outcome.ACCEPTED)} accepted,"
                f" {self._journal.count(Outcome.UNKNOWN)} unknown), {self._kills} kills, {len(self._to_go())} points to go,"
                f" {self._restarts} restarts"
            )

    def _settle(self, ended: float) -> tuple[list[str], float | None]:
        """The unsettled items at the end, and the time at which the last one settled; items must stay settled for two
        syncs.
        """
        settled: float | None = None
        while (passed := time.monotonic() - ended) < SETTLES_WITHIN:
            left = self._systems.unsettled()
            if left:
                settled = None
            elif settled is None:
                settled = passed
            if settled is not None and passed > 2 * float(self._environment["WORKFLOWS_SYNC_INTERVAL"]) + 2:
                return [], settled
            time.sleep(1)
        return self._systems.unsettled(), settled


def _is_of_sweep(point: str) -> bool:
    return operation_of(point) == "sweep"


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.0f} s"
