"""One run of the chaos: everything started, loaded, broken, left alone, and checked."""

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
from tests.chaos.faults import Link, Weather
from tests.chaos.fleet import ROOT, Fleet, restart
from tests.chaos.holding import Holdings, broken_leases
from tests.chaos.journal import Journal, Told
from tests.chaos.load import POOL, Client
from tests.chaos.points import Points, operation_of, use_case_of
from tests.chaos.proxy import Proxies
from tests.chaos.seen import Systems
from tests.chaos.victim import FOLDER, WITHOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from devstack.airflow import LocalAirflow
    from devstack.s3 import LocalS3

SETTLES_WITHIN: Final = 60.0
"""Seconds from the last fault until nothing may be left unsettled."""

ARMED: Final = {True: 2, False: 3}
"""How many crash points of the worker's sweep, and of requests, wait for somebody at the same time, each for :data:`_TURN` seconds before
another has its turn.
"""

_TURN: Final = 8.0

_FEW: Final = 8
"""So many points of the sweep that are left to die at are all armed at the same time: some of them are rarely reached."""

_LULL: Final = 180.0
"""Seconds in which nobody asks for anything any more, at most, while points of the sweep are left to die at."""

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
    """How much, and what of the product is broken on purpose.

    Args:
        seed: decides the storms, the kills and what each client does.
        least, most: seconds of chaos; between both it ends as soon as the three numbers below are reached.
        operations, kills: how many there have to be.
        every_point: whether a process has to have died at each crash point that was met in the calm.
        sqlite: one process on SQLite, instead of several on PostgreSQL.
        without: which safeguard is switched off: the checker must notice.
        keys: clients send an Idempotency-Key and repeat what was not answered.
        settings: more environment variables for the service, such as those that switch a safeguard off.
        restarts: seconds between two restarts of PostgreSQL.
        between_kills: mean seconds between two kills at random.
        stills: seconds between two times that somebody is told to stand still in the middle of its work; None for never.
    """

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
    """The real servers that it runs beside."""

    airflow: LocalAirflow
    s3: LocalS3
    bucket: str
    loaders: int


@frozen(kw_only=True)
class Result:
    """What happened, and what came of it."""

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
        """Points that were met in the calm and in the chaos, where nobody has died though somebody should have.

        The few that only the calm met came about by chance: an Airflow that dropped a DAG while its removal was still being answered.
        """
        return sorted((self.in_calm & self.came_again) - set(self.died)) if self.plan.every_point else []

    @property
    def kills(self) -> int:
        return self.random_kills + len(self.died)


def run(plan: Plan, around: Surroundings, folder: Path, *, say: Callable[[str], None] = no_progress) -> Result:
    """Do it. Everything that is started here has ended when this returns; the logs are in ``folder``."""
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
        folder.chmod(0o711)  # PostgreSQL runs as another user where we are root
        tag = f"s{plan.seed}{secrets.token_hex(2)}"  # the servers may have been used before
        self._journal = Journal()
        self._points = Points(folder / "points")
        self._points.prepare()
        self._holdings = Holdings(folder / "points")
        self._holdings.prepare()
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

    # What it consists of

    def _own_postgres(self) -> LocalPostgres:
        """Airflow's is left alone: that one's restarts are nothing that we promise anything for."""
        return LocalPostgres(self._folder / "postgres", settings={"fsync": "off"})

    def _targets(self) -> dict[Link, Callable[[], int]]:
        around, postgres = self._around, self._postgres
        found = {Link.AIRFLOW: lambda: around.airflow.port, Link.STORE: lambda: around.s3.port}
        return found if postgres is None else {**found, Link.DATABASE: lambda: postgres.port}

    def _database_url(self) -> str:
        """Of the database itself, where it is now."""
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
        """In both versions of Airflow's API an existing pool is a 409."""
        pool = {"name": POOL, "slots": 0, "include_deferred": False}
        answer = self._systems.http.post("/pools", json=pool)
        if answer.status_code != 409:
            answer.raise_for_status()

    # What happens

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
        self._holdings.go_on()
        self._weather.end()
        ended = time.monotonic()
        self._say(f"chaos: {len(self._journal)} operations, {self._kills} kills, {_since(began)}")
        left, settled = self._settle(ended)
        self._journal.write(self._folder / "journal.jsonl")
        return Result(
            plan=self._plan,
            journal=self._journal,
            verdict=check(self._journal, self._systems.look(), left, broken_leases(self._holdings.events())),
            points=self._points.met(),
            died=self._points.died(),
            in_calm=self._in_calm,
            came_again=self._points.met_again(),
            random_kills=self._fleet.kills,
            restarts=self._restarts,
            stills=self._holdings.stills(),
            weather=self._weather,
            settled_after=settled,
            chaos_seconds=ended - began,
        )

    def _chaos(self) -> None:
        breakers = [self._kill_at_points, self._kill_at_random, self._report]
        if self._plan.stills is not None:
            breakers.append(partial(self._stand_still, self._plan.stills))
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
        """What the worker only comes to when there is little else to do, it does now: there are crash points in it, too."""
        until = time.monotonic() + _LULL
        while self._plan.every_point and self._to_go() and time.monotonic() < until:
            time.sleep(0.2)

    def _to_go(self) -> set[str]:
        """The points of the calm at which nobody has died yet."""
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
        """The operations that armed crash points wait for; for those of the sweep, what it may go on with."""
        return {
            _CAUSES.get(use_case_of(point), "run") if _is_of_sweep(point) else operation_of(point)
            for point in self._points.armed()
        }

    def _kill_at_points(self) -> None:
        """Arm a few points at a time, those of the calm first; one that nobody reaches within its turn comes again after the others."""
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

    def _stand_still(self, every: float) -> None:
        """One at a time: others have to be there who take over."""
        leader = True
        while not self._over.wait(every):
            if not self._holdings.is_told() and not self._points.is_anybody_spared():
                self._holdings.stand_still(leader=leader)
                leader = not leader

    def _restart_database(self, postgres: LocalPostgres) -> None:
        random = Random(f"{self._plan.seed} restarts")
        while not self._over.wait(random.uniform(0.5, 1.5) * self._plan.restarts):
            restart(postgres, crash=self._restarts % 2 == 0)
            self._restarts += 1

    def _report(self) -> None:
        while not self._done.wait(15):
            self._say(
                f"  {len(self._journal)} operations ({self._journal.count(Told.ACCEPTED)} accepted,"
                f" {self._journal.count(Told.UNKNOWN)} unknown), {self._kills} kills, {len(self._to_go())} points to go,"
                f" {self._restarts} restarts"
            )

    def _settle(self, ended: float) -> tuple[list[str], float | None]:
        """What is left when the time is over, and when the last of it settled. At rest for less than two syncs is not at rest."""
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
