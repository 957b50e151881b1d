"""``make bench-sync``: publish a thousand CODE workflows to a real Airflow, then a few changes.

Writes ``benchmarks/sync.md``. The service runs in this process,
so that its requests to the object store can be counted separately from those of Airflow's loader.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import httpx
from attrs import define, field

from devstack.airflow import LocalAirflow
from devstack.postgres import LocalPostgres
from devstack.s3 import LocalS3
from workflow_adapters.sql import make_engine, upgrade
from workflow_core.domain.caller import Caller
from workflow_core.domain.filters import WorkflowFilter
from workflow_core.domain.names import sentinel_dag_id
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.workflow import Phase
from workflow_core.sweeper import Sweeper
from workflow_core.usecases.commands.sync import sync
from workflow_core.usecases.reconcile.code_sync import SyncCode
from workflow_entrypoints.airflow.install import install
from workflow_entrypoints.container import build, close
from workflow_entrypoints.settings import load_settings
from workflow_entrypoints.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workflow_core.service import WorkflowService
    from workflow_entrypoints.container import Container

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "sync.md"
BUCKET = "workflows-bench"
LOADERS = 8
SPECS = int(os.environ.get("BENCH_SPECS", "1000"))
GIVE_UP_AFTER = 600.0

SPEC = """\
version: v1
name: {name}
owner: {owner}
schedule: {{cron: "0 6 1 1 *", timezone: UTC}}
tasks:
  - task_id: first
    operator: bash
    bash_command: echo "{{{{ run_date() }}}}"
  - task_id: second
    operator: empty
    dependencies: [first]
"""


@define
class Bench:
    """The running system: the service in this process, and clients of the others."""

    service: WorkflowService
    container: Container
    s3: Any
    theirs: httpx.Client
    requests: list[str] = field(factory=list)
    rows: list[str] = field(factory=list)

    def publish(self, name: str, owner: str = "ci@example.com", text: str | None = None) -> None:
        body = text if text is not None else SPEC.format(name=name, owner=owner)
        self.s3.put_object(Bucket=BUCKET, Key=f"workflows/code/{name}.yaml", Body=body.encode())

    def withdraw(self, name: str) -> None:
        self.s3.delete_object(Bucket=BUCKET, Key=f"workflows/code/{name}.yaml")

    def sync(self, what: str) -> None:
        """Run one sync and add a row with its time, its requests to the store, and its report."""
        self.requests.clear()
        began = time.monotonic()
        report = sync(SyncCode(caller=Caller(name="bench")), self.service.context)
        took = time.monotonic() - began
        words = ("added", "changed", "removed", "failed")
        summary = ", ".join(f"{len(getattr(report, word))} {word}" for word in words if getattr(report, word))
        lists, reads = (sum(name == kind for name in self.requests) for kind in ("ListObjectsV2", "GetObject"))
        others = len(self.requests) - lists - reads
        summary = f"{summary}, {report.unchanged} unchanged" if summary else f"{report.unchanged} unchanged"
        self.row(what, f"{took:.2f} s", f"{lists} listings, {reads} reads, {others} others", summary)

    def row(self, what: str, *cells: str) -> None:
        self.rows.append(f"| {' | '.join((what, *cells))} |")
        print(self.rows[-1], flush=True)

    def open(self) -> int:
        """The number of unsettled workflows."""
        return len(self.container.database().workflows.unsettled_workflows(2 * SPECS))

    def in_airflow(self) -> int:
        """The number of DAGs in Airflow."""
        return int(self.theirs.get("/dags", params={"limit": 1}).json()["total_entries"])


@contextlib.contextmanager
def system() -> Iterator[Bench]:
    """Start Airflow with its DAG processor's default settings and the service.

    Both use PostgreSQL and an S3 server on loopback.
    """
    with contextlib.ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="workflow-bench-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        postgres, s3 = stack.enter_context(LocalPostgres()), stack.enter_context(LocalS3())
        s3.create_bucket(BUCKET)
        dags = home / "dags"
        dags.mkdir()
        install(dags, storage_url=f"s3://{BUCKET}/workflows", loaders=LOADERS)
        airflow = LocalAirflow(
            environment=ROOT / os.environ.get("AIRFLOW_VENV", ".venv-airflow"),
            home=home / "home",
            dags_folder=dags,
            database_url=postgres.create_airflow_database(),
            extra_env=s3.environment,
        )
        stack.enter_context(airflow)
        os.environ.update(s3.environment)  # boto3 reads this process's environment
        settings = load_settings(
            {
                "AIRFLOW_BASE_URL": airflow.base_url,
                "AIRFLOW_USERNAME": airflow.username,
                "AIRFLOW_PASSWORD": airflow.password,
                "WORKFLOWS_DATABASE_URL": postgres.create_database("workflows_bench"),
                "WORKFLOWS_STORAGE_URL": f"s3://{BUCKET}/workflows",
                "WORKFLOWS_LOADERS": str(LOADERS),
            }
        )
        engine = make_engine(settings.database_url)
        upgrade(engine)
        engine.dispose()
        container = build(settings)
        stack.callback(close, container)
        theirs = httpx.Client(base_url=airflow.api_url, headers=airflow.headers(), timeout=60, trust_env=False)
        stack.callback(theirs.close)
        bench = Bench(container.service(), container, s3.client(), theirs)
        storage: Any = container.storage()
        storage._client.meta.events.register(  # noqa: SLF001 - counted where they are sent
            "before-call.s3", lambda model, **_: bench.requests.append(model.name)
        )
        until(lambda: all(container.airflow().dag(sentinel_dag_id(one, LOADERS)) for one in range(LOADERS)))
        yield bench


def until(holds: Callable[[], bool], *, every: float = 0.5) -> float:
    """Wait until the condition holds; returns the seconds that it took."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > GIVE_UP_AFTER:
            raise TimeoutError
        time.sleep(every)
    return time.monotonic() - began


def settle(bench: Bench, what: str, *, in_airflow: int | None = None) -> None:
    """Run a worker until every workflow is settled, and record when Airflow had the DAGs."""
    began = time.monotonic()
    had: list[float] = []
    done = Event()

    def watch() -> None:
        while not done.is_set() and in_airflow is not None and not had:
            if bench.in_airflow() >= in_airflow:
                had.append(time.monotonic() - began)
            done.wait(0.5)

    watcher = Thread(target=watch)
    watcher.start()
    worker = Worker(Sweeper(bench.service.context), interval=2.0)
    worker.start()
    try:
        until(lambda: bench.open() == 0)
        took = time.monotonic() - began
    finally:
        done.set()
        worker.stop()
        watcher.join()
    bench.row(what, f"{took:.1f} s", "", f"Airflow had them after {had[0]:.1f} s" if had else "")


def measure(bench: Bench) -> None:
    """Publish, change and delete CODE objects, one row of results for each step."""
    names = [f"bench.sync.w{number:04d}" for number in range(SPECS)]
    for name in names:
        bench.publish(name)
    bench.sync(f"{SPECS:,} new objects")
    settle(bench, "… until all are served", in_airflow=SPECS + LOADERS)
    page = bench.container.database().workflows.list_workflows(WorkflowFilter(), PageRequest(limit=1))
    if page.total != SPECS or page.items[0].phase is not Phase.SERVED:
        raise AssertionError(page)
    for _ in range(3):
        bench.sync("no change")
    for name in names[:3]:
        bench.publish(name, owner="other@example.com")
    for name in names[3:5]:
        bench.withdraw(name)
    bench.publish(names[5], text=SPEC.format(name=names[5], owner="x").replace("bash\n", "os.system\n"))
    bench.sync("3 changed, 2 deleted, 1 broken")
    changed = names[:3]
    began = time.monotonic()
    worker = Worker(Sweeper(bench.service.context), interval=2.0)
    worker.start()
    until(lambda: all(bench.service.workflow(name).phase is Phase.SERVED for name in changed))
    bench.row("… until the 3 are served", f"{time.monotonic() - began:.1f} s", "", "")
    until(lambda: bench.open() == 0)
    bench.row("… until Airflow has dropped the 2", f"{time.monotonic() - began:.1f} s", "", "")
    worker.stop()
    bench.sync("no change")


def main() -> None:
    """Measure, and write the results."""
    with system() as bench:
        measure(bench)
        head = (
            "# Syncs of CODE workflows\n\n"
            f"Written by `make bench-sync` on {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()},"
            f" {os.cpu_count()} cores (shared).\n"
            "Airflow on PostgreSQL, its DAG processor with default settings, specs in moto's S3 server,"
            f" {LOADERS} loader files.\n"
            "Requests are those of the service, not of Airflow's loader.\n\n"
            "| What | Time | Requests to the store | Report |\n|---|---|---|---|\n"
        )
        RESULTS.write_text(head + "\n".join(bench.rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
