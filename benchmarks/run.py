"""``make bench``: measure on a real Airflow and write ``benchmarks/results.md``.

Machines are shared and noisy, so the compared operations alternate within one run.
Compare only ratios between runs.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from devstack.airflow import LocalAirflow
from devstack.ports import LOOPBACK, free_ports
from devstack.postgres import LocalPostgres
from devstack.process import ManagedProcess
from workflow_entrypoints.airflow.install import install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results.md"
LOADERS = 8
REGISTRATIONS = 20
ROUNDS = 5
TRIGGERS = 60
"""In each round."""
STARTS = 10
DROPPED_FILES = 3
GIVE_UP_AFTER = 400.0  # seconds; a new file is noticed after 300 with stock settings

SPEC = """\
version: v1
name: {name}
owner: bench@example.com
schedule: {{cron: "0 6 1 1 *", timezone: UTC}}
tasks:
  - task_id: first
    operator: bash
    bash_command: echo "{{{{ run_date() }}}}"
  - task_id: second
    operator: empty
    dependencies: [first]
"""

EMPTY_SPEC = """\
version: v1
name: {name}
owner: bench@example.com
schedule: {{cron: "0 6 1 1 *", timezone: UTC}}
tasks:
  - task_id: only
    operator: empty
"""
"""A run of this spec needs no worker process, so the benchmark measures the request alone."""

DROPPED = """\
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG("{dag_id}", schedule=None, is_paused_upon_creation=False):
    BashOperator(task_id="first", bash_command="true")
"""


class Bench:
    """The running system, as a client uses it."""

    def __init__(self, airflow: LocalAirflow, base_url: str, storage: Path) -> None:
        self.airflow = airflow
        self.storage = storage
        self.ours = httpx.Client(base_url=base_url, timeout=60, trust_env=False)
        self.theirs = httpx.Client(
            base_url=airflow.api_url,
            headers=airflow.headers(),
            timeout=60,
            trust_env=False,
        )

    def register(self, name: str, spec: str = SPEC) -> None:
        answer = self.ours.post(
            "/api/v1/workflows/register",
            json={"dataset_name": name, "yaml_content": spec.format(name=name), "owner": "bench@example.com"},
        )
        answer.raise_for_status()

    def run(self, name: str) -> str:
        answer = self.ours.post(f"/api/v1/workflows/{name}/run", json={})
        answer.raise_for_status()
        return str(answer.json()["run_id"])

    def started(self, name: str, run_id: str) -> bool:
        state = self.theirs.get(f"/dags/{name.replace('.', '_')}/dagRuns/{run_id}")
        return state.status_code == httpx.codes.OK and state.json()["state"] in {"running", "success"}

    def trigger_directly(self, name: str, run_id: str) -> None:
        body: dict[str, Any] = {"dag_run_id": run_id, "logical_date": None, "conf": {}}
        self.theirs.post(f"/dags/{name.replace('.', '_')}/dagRuns", json=body).raise_for_status()

    def serves(self, dag_id: str) -> bool:
        return self.theirs.get(f"/dags/{dag_id}").status_code == httpx.codes.OK


@contextlib.contextmanager
def system() -> Iterator[Bench]:
    """Start Airflow with its DAG processor's default settings and the service.

    Both use PostgreSQL; the object store is a folder.
    """
    with contextlib.ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="workflow-bench-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        storage = home / "storage"
        postgres = stack.enter_context(LocalPostgres(on_progress=say))
        dags = home / "dags"
        dags.mkdir()
        install(dags, loaders=LOADERS, storage_url=f"file://{storage}")
        airflow = stack.enter_context(
            LocalAirflow(
                environment=ROOT / os.environ.get("AIRFLOW_VENV", ".venv-airflow"),
                home=home / "airflow",
                dags_folder=dags,
                database_url=postgres.create_airflow_database("airflow"),
                on_progress=say,
            )
        )
        (port,) = free_ports(1)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("WORKFLOWS_", "AIRFLOW_"))
        }
        environment |= {
            "AIRFLOW_BASE_URL": airflow.base_url,
            "AIRFLOW_USERNAME": airflow.username,
            "AIRFLOW_PASSWORD": airflow.password,
            "WORKFLOWS_DATABASE_URL": postgres.create_database("workflows"),
            "WORKFLOWS_STORAGE_URL": f"file://{storage}",
            "WORKFLOWS_PORT": str(port),
        }
        dli = [sys.executable, "-m", "workflow_entrypoints.cli.main"]
        subprocess.run([*dli, "db", "upgrade"], env=environment, check=True, stdout=subprocess.DEVNULL)
        service = stack.enter_context(
            ManagedProcess(
                [*dli, "serve"], name="the service", log_path=home / "service.log", env=environment, cwd=ROOT
            )
        )
        base_url = f"http://{LOOPBACK}:{port}"
        service.wait_until(
            lambda: None if answers(f"{base_url}/dependencies") else "the service", timeout=60, on_progress=say
        )
        os.environ.update(environment)  # for the dli commands that are timed
        yield Bench(airflow, base_url, storage)


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=20, trust_env=False).status_code == httpx.codes.OK
    return False


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr)


def until(condition: Callable[[], bool], *, limit: float = 60.0) -> None:
    """Poll every 20 ms until the condition holds; its time is the measurement."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            msg = f"not reached within {limit:g} s"
            raise TimeoutError(msg)
        time.sleep(0.02)


def register_to_runnable(bench: Bench) -> list[float]:
    """Time from sending the registration until a run triggered at once has started in Airflow."""
    taken = []
    for number in range(REGISTRATIONS):
        name = f"bench.register.w{number:02d}"
        began = time.monotonic()
        bench.register(name)
        run_id = bench.run(name)
        until(partial(bench.started, name, run_id))
        taken.append(time.monotonic() - began)
        say(f"register to runnable {number + 1}/{REGISTRATIONS}: {taken[-1]:.2f} s")
    return taken


def without_parse_now(bench: Bench) -> tuple[list[float], list[float]]:
    """Time a spec written to the store without a requested parse, and a new file dropped into the DAGs folder."""
    began = time.monotonic()
    waiting: dict[str, str] = {}
    for number in range(DROPPED_FILES):
        name = f"bench.stored.w{number:02d}"
        path = bench.storage / "workflows" / "manual" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SPEC.format(name=name) + "start_date: '2026-01-01T00:00:00Z'\n", encoding="utf-8")
        waiting[name.replace(".", "_")] = "stored"
        dropped = f"bench_dropped_w{number:02d}"
        (bench.airflow.dags_folder / f"{dropped}.py").write_text(DROPPED.format(dag_id=dropped), encoding="utf-8")
        waiting[dropped] = "dropped"
    taken: dict[str, list[float]] = {"stored": [], "dropped": []}
    while waiting:
        for dag_id in [dag_id for dag_id in waiting if bench.serves(dag_id)]:
            taken[waiting.pop(dag_id)].append(time.monotonic() - began)
            say(f"served without parse-now: {dag_id} after {time.monotonic() - began:.1f} s")
        if time.monotonic() - began > GIVE_UP_AFTER:
            msg = f"not served within {GIVE_UP_AFTER:g} s: {sorted(waiting)}"
            raise TimeoutError(msg)
        time.sleep(0.1)
    return taken["stored"], taken["dropped"]


def trigger_rounds(bench: Bench) -> list[tuple[list[float], list[float]]]:
    """Time POST run through the service and directly to Airflow.

    There are several rounds, because other load on the machine spoils one or two.
    """
    name = "bench.trigger.empty"
    bench.register(name, EMPTY_SPEC)
    bench.run(name)  # logs in and opens connections, as Airflow's own client has
    rounds = []
    for number in range(ROUNDS):
        rounds.append(trigger_times(bench, name))
        ours, theirs = map(statistics.median, rounds[-1])
        say(f"POST run {number + 1}/{ROUNDS}: {ours * 1000:.1f} ms, {ours / theirs:.2f} times Airflow's")
    return rounds


def trigger_times(bench: Bench, name: str) -> tuple[list[float], list[float]]:
    """Run one round: alternating requests, one at a time, on one DAG."""
    ours, theirs = [], []
    for number in range(TRIGGERS):
        for kind in ("ours", "theirs") if number % 2 else ("theirs", "ours"):
            began = time.monotonic()
            if kind == "ours":
                bench.run(name)
                ours.append(time.monotonic() - began)
            else:
                bench.trigger_directly(name, f"direct_{number:03d}_{time.time_ns()}")
                theirs.append(time.monotonic() - began)
    return ours, theirs


def start_times(airflow: LocalAirflow) -> dict[str, list[float]]:
    """Time whole processes, alternating."""
    dli = str(Path(sys.executable).parent / "dli")
    commands = {
        "`dli --help`": ([dli, "--help"], dict(os.environ)),
        "`dli workflow list`": ([dli, "workflow", "list"], dict(os.environ)),
        "`airflow version`": ([str(airflow.environment / "bin" / "airflow"), "version"], airflow.env),
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(STARTS):
        for name, (command, environment) in commands.items():
            began = time.monotonic()
            subprocess.run(command, env=environment, check=True, capture_output=True)
            taken[name].append(time.monotonic() - began)
    return taken


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def row(what: str, values: list[float], compared: str) -> str:
    return f"| {what} | {len(values)} | {statistics.median(values):.3f} s | {p95(values):.3f} s | {compared} |"


def main() -> None:
    with system() as bench:
        registered = register_to_runnable(bench)
        rounds = trigger_rounds(bench)
        starts = start_times(bench.airflow)
        stored, dropped = without_parse_now(bench)
    ours, theirs = (list(chain.from_iterable(times)) for times in zip(*rounds, strict=True))
    ratios = [statistics.median(mine) / statistics.median(others) for mine, others in rounds]
    airflow_start = statistics.median(starts["`airflow version`"])
    lines = [
        "# Measured figures",
        "",
        (
            f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()},"
            f" {os.cpu_count()} cores (shared).\n"
            "Airflow 3.3.2 on PostgreSQL, its DAG processor with default settings.\n"
            "Compare ratios within one run only."
        ),
        "",
        "| What | n | median | p95 | compared |",
        "|---|---|---|---|---|",
        row("Register to runnable: registration sent until a run has started in Airflow", registered, "bound: p95 3 s"),
        row(
            "A spec written to the store, without a requested parse, until served",
            stored,
            f"{statistics.median(stored) / statistics.median(registered):.0f} x",
        ),
        row(
            "A new file dropped into the DAGs folder, until served",
            dropped,
            f"{statistics.median(dropped) / statistics.median(registered):.0f} x",
        ),
        row(
            "`POST run` through this service",
            ours,
            f"**{statistics.median(ratios):.2f} x** Airflow's, the median of {ROUNDS} rounds of {TRIGGERS} ({min(ratios):.2f} to"
            f" {max(ratios):.2f}; bound: 1.3)",
        ),
        row("`POST dagRuns` directly to Airflow", theirs, "1 x"),
        *[row(name, times, f"{statistics.median(times) / airflow_start:.2f} x") for name, times in starts.items()],
        "",
    ]
    RESULTS.write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
