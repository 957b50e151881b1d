"""``make bench-mirror``: measure the mirror with 500 active runs; writes ``benchmarks/mirror.md``.

The benchmark measures the time until a change in Airflow shows in the service's API, and the load on Airflow.
The service and its worker run in this process, so that the worker's requests can be counted separately.
"""

from __future__ import annotations

import contextlib
import os
import platform
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
from attrs import define, field

from benchmarks.run import p95, say, until
from devstack.airflow import LocalAirflow
from devstack.postgres import LocalPostgres
from workflow_adapters.sql import make_engine, upgrade
from workflow_core.api import RegisterRequest
from workflow_core.domain.conditions import ConditionType
from workflow_core.domain.filters import HistoryFilter
from workflow_core.domain.names import sentinel_dag_id
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.run import Run, RunStatus
from workflow_core.sweeper import Sweeper
from workflow_entrypoints.airflow.install import install
from workflow_entrypoints.container import build, close
from workflow_entrypoints.settings import load_settings
from workflow_entrypoints.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from workflow_core.service import WorkflowService
    from workflow_core.usecases.reconcile.sweep import SweepReport

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "mirror.md"
LOADERS = 8
WORKFLOWS = 40
RUNS_OF_EACH = 13  # Airflow runs 16 of a DAG at a time
ACTIVE = 500
CHANGES = 25
"""Changes of each kind."""

WINDOW = 15.0
"""Seconds after which no pass reads the start of the runs again: each pass overlaps the one before by ten seconds."""

LAG_BOUND = 3.0
REQUESTS_BOUND = 5
POOL = "bench_held"
WORKER: Final = "worker"
"""The name of the thread whose requests are counted."""

SPEC = f"""\
version: v1
name: {{name}}
owner: bench@example.com
schedule: {{{{cron: "0 6 1 1 *", timezone: UTC}}}}
tasks:
  - {{{{task_id: first, operator: empty}}}}
  - {{{{task_id: second, operator: bash, bash_command: "true", pool: {POOL}, dependencies: [first]}}}}
  - {{{{task_id: third, operator: bash, bash_command: "true", pool: {POOL}, dependencies: [first]}}}}
"""
"""A run of this spec stays active without a worker process, because the pool has no slots."""


@define
class Counted:
    """The service that the worker calls; records the requests that each pass sends to Airflow."""

    sweeper: Sweeper
    under_way: list[str] = field(factory=list)
    passes: list[tuple[list[str], float]] = field(factory=list)

    def sent(self, request: httpx.Request) -> None:
        """Record a request of the worker's thread."""
        if threading.current_thread().name == WORKER:
            self.under_way.append(f"{request.method} {request.url.path}")

    def sweep(self) -> SweepReport:
        """Run one pass and record its requests and its time."""
        self.under_way.clear()
        began = time.monotonic()
        report = self.sweeper.sweep()
        self.passes.append((list(self.under_way), time.monotonic() - began))
        return report

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sweeper, name)


@define
class Bench:
    """The running system."""

    service: WorkflowService
    theirs: httpx.Client
    counted: Counted
    lags: dict[str, list[float]] = field(factory=dict)

    def run(self, run_id: str) -> Run:
        """The recorded run."""
        run = self.service.context.db.workflows.run(run_id)
        if run is None:
            raise AssertionError(run_id)
        return run

    def key(self, run_id: str) -> str:
        """The path of a run in Airflow's API."""
        run = self.run(run_id)
        return f"/dags/{run.dag_id}/dagRuns/{run.airflow_run_id}"

    def active(self) -> int:
        """The number of running runs in Airflow."""
        answer = self.theirs.get("/dags/~/dagRuns", params={"state": "running", "limit": 1})
        return int(answer.raise_for_status().json()["total_entries"])

    def has_failed(self, run_id: str) -> bool:
        """Whether the service reports that the run has ended."""
        return self.service.status(run_id).status is RunStatus.FAILED

    def is_active(self, run_id: str) -> bool:
        """Whether the service reports that the run is active."""
        return not self.service.status(run_id).status.is_final

    def has_completed(self, run_id: str, tasks: int) -> bool:
        """Whether the service reports this number of completed tasks."""
        return self.service.status(run_id).progress.completed_tasks >= tasks

    def is_reported_paused(self, name: str) -> bool:
        """Whether the service reports the workflow's DAG as paused in Airflow."""
        return ConditionType.PAUSED_IN_AIRFLOW in {one.type for one in self.service.workflow(name).conditions}

    def knows(self, name: str, airflow_run_id: str) -> bool:
        """Whether the history has a run that was started in Airflow."""
        page = self.service.context.db.workflows.history(HistoryFilter(dataset_name=name), PageRequest(limit=100))
        return any(run.airflow_run_id == airflow_run_id for run in page.items)

    def measure(self, kind: str, change: Callable[[], httpx.Response], is_reported: Callable[[], bool]) -> None:
        """Make a change in Airflow at a random point of a pass, and time the wait until the service reports it."""
        time.sleep(random.uniform(0.0, 2.0))
        change().raise_for_status()
        began = time.monotonic()
        until(is_reported, limit=120.0)
        self.lags.setdefault(kind, []).append(time.monotonic() - began)
        say(f"{kind}: {self.lags[kind][-1]:.2f} s")


@contextlib.contextmanager
def system() -> Iterator[Bench]:
    """Airflow with default settings and the service, both on PostgreSQL."""
    with contextlib.ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="workflow-bench-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        storage = f"file://{home / 'storage'}"
        postgres = stack.enter_context(LocalPostgres(on_progress=say))
        dags = home / "dags"
        dags.mkdir()
        install(dags, loaders=LOADERS, storage_url=storage)
        airflow = LocalAirflow(
            environment=ROOT / os.environ.get("AIRFLOW_VENV", ".venv-airflow"),
            home=home / "airflow",
            dags_folder=dags,
            database_url=postgres.create_airflow_database("airflow"),
            on_progress=say,
        )
        stack.enter_context(airflow)
        settings = load_settings(
            {
                "AIRFLOW_BASE_URL": airflow.base_url,
                "AIRFLOW_USERNAME": airflow.username,
                "AIRFLOW_PASSWORD": airflow.password,
                "WORKFLOWS_AIRFLOW_API": "v2",
                "WORKFLOWS_DATABASE_URL": postgres.create_database("workflows"),
                "WORKFLOWS_STORAGE_URL": storage,
                "WORKFLOWS_LOADERS": str(LOADERS),
            }
        )
        engine = make_engine(settings.database_url)
        upgrade(engine)
        engine.dispose()
        container = build(settings)
        stack.callback(close, container)
        counted = Counted(Sweeper(container.service().context))
        adapter: Any = container.airflow()
        adapter._client._http.event_hooks = {"request": [counted.sent]}  # noqa: SLF001 - counted where they are sent
        theirs = httpx.Client(base_url=airflow.api_url, headers=airflow.headers(), timeout=60, trust_env=False)
        stack.callback(theirs.close)
        until(lambda: all(container.airflow().dag(sentinel_dag_id(one, LOADERS)) for one in range(LOADERS)))
        worker = Worker.of(counted, settings, ())
        worker.start()
        stack.callback(worker.stop)
        yield Bench(container.service(), theirs, counted)


def make_active(bench: Bench) -> list[str]:
    """Start the runs that stay active; returns their ids."""
    bench.theirs.post("/pools", json={"name": POOL, "slots": 0, "include_deferred": False}).raise_for_status()
    names = [f"bench.mirror.w{number:02d}" for number in range(WORKFLOWS)]
    with ThreadPoolExecutor(6) as pool:
        requests = [RegisterRequest(dataset_name=name, yaml_content=SPEC.format(name=name)) for name in names]
        list(pool.map(bench.service.register, requests))
        say(f"{WORKFLOWS} workflows")
        run_ids = list(pool.map(lambda name: bench.service.run(name).run_id, names * RUNS_OF_EACH))
    until(lambda: bench.active() >= len(run_ids), limit=300.0)
    until(lambda: all(bench.has_completed(run_id, 1) for run_id in run_ids), limit=300.0)
    say(f"{len(run_ids)} runs are active")
    return run_ids


def change_things(bench: Bench, run_ids: list[str]) -> None:
    """Make the changes one after the other, each kind in turn, and time each of them."""
    for number, run_id in enumerate(run_ids[:CHANGES]):
        key, dag_id = bench.key(run_id), bench.run(run_id).dag_id
        name, theirs = bench.run(run_id).dataset_name, f"theirs_{number:02d}"
        patch = partial(bench.theirs.patch, key)
        bench.measure(
            "A task marked as ended, in `progress`",
            partial(bench.theirs.patch, f"{key}/taskInstances/second", json={"new_state": "success"}),
            partial(bench.has_completed, run_id, 2),
        )
        bench.measure(
            "A run marked failed",
            partial(patch, json={"state": "failed"}),
            partial(bench.has_failed, run_id),
        )
        cleared = {"dry_run": False, "reset_dag_runs": True, "only_failed": False, "dag_run_id": run_id}
        bench.measure(
            "A run cleared",
            partial(bench.theirs.post, f"/dags/{dag_id}/clearTaskInstances", json=cleared),
            partial(bench.is_active, run_id),
        )
        bench.measure(
            "A run started, in the history",
            partial(bench.theirs.post, f"/dags/{dag_id}/dagRuns", json={"dag_run_id": theirs, "logical_date": None}),
            partial(bench.knows, name, theirs),
        )
        pause = partial(bench.theirs.patch, f"/dags/{dag_id}")
        bench.measure(
            "A DAG paused, in the conditions",
            partial(pause, json={"is_paused": True}),
            partial(bench.is_reported_paused, name),
        )
        pause(json={"is_paused": False}).raise_for_status()


def kinds_of(passes: list[tuple[list[str], float]]) -> Mapping[str, float]:
    """The average number of requests of each kind in a pass."""
    counts: dict[str, int] = {}
    for requests, _ in passes:
        for request in requests:
            method, path = request.split(" ", 1)
            parts = path.split("/")[3:]
            kind = f"{method} {'/'.join(part if index % 2 == 0 or part in {'~', 'list'} else '…' for index, part in enumerate(parts))}"
            counts[kind] = counts.get(kind, 0) + 1
    return {kind: count / len(passes) for kind, count in sorted(counts.items())}


def row(kind: str, lags: list[float]) -> str:
    """A row of the table of lags."""
    figures = (statistics.median(lags), p95(lags), max(lags), LAG_BOUND)
    return f"| {kind} | {len(lags)} | {' | '.join(f'{figure:.2f} s' for figure in figures)} |"


def report(bench: Bench, passes: list[tuple[list[str], float]], active: int) -> str:
    """The measurements as the text of the page."""
    counts = [len(requests) for requests, _ in passes]
    times = [took for _, took in passes]
    rows = [row(kind, lags) for kind, lags in bench.lags.items()]
    every = [lag for lags in bench.lags.values() for lag in lags]
    return "\n".join(
        [
            "# Mirroring Airflow",
            "",
            (
                f"Written by `make bench-mirror` on {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()},"
                f" {os.cpu_count()} cores (shared).\n"
                "Airflow 3.3.2 with default settings and this service, both on PostgreSQL;\n"
                f"{active} active runs in {WORKFLOWS} workflows, a pass every 2 s."
            ),
            "",
            "Time from the response to a change in Airflow's API until the service's API shows the change:",
            "",
            "| Change | n | median | p95 | maximum | bound (p95) |",
            "|---|---|---|---|---|---|",
            *rows,
            row("**All**", every),
            "",
            "Load of each pass of the worker on Airflow in that time:",
            "",
            "| | n | median | p95 | maximum | bound |",
            "|---|---|---|---|---|---|",
            (
                f"| Requests | {len(counts)} | {statistics.median(counts):g} | **{p95([float(one) for one in counts]):g}** | {max(counts)}"
                f" | {REQUESTS_BOUND} |"
            ),
            f"| Time of a pass | {len(times)} | {statistics.median(times):.2f} s | {p95(times):.2f} s | {max(times):.2f} s | |",
            "",
            "Average requests of a pass: "
            + ", ".join(f"{mean:.2f} x `{kind}`" for kind, mean in kinds_of(passes).items())
            + ".",
            "",
        ]
    )


def main() -> int:
    """Measure, and write the results; 1 if a bound is missed."""
    with system() as bench:
        run_ids = make_active(bench)
        time.sleep(WINDOW)
        before = len(bench.counted.passes)
        change_things(bench, run_ids)
        active = bench.active()
        passes = bench.counted.passes[before:]
    page = report(bench, passes, active)
    RESULTS.write_text(page, encoding="utf-8")
    print(page)
    within = all(p95(lags) <= LAG_BOUND for lags in bench.lags.values())
    few = p95([float(len(requests)) for requests, _ in passes]) <= REQUESTS_BOUND
    return 0 if within and few and active >= ACTIVE else 1


if __name__ == "__main__":
    sys.exit(main())
