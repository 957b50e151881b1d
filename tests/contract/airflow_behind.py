"""Direct access to a real Airflow and to the fake, for the contract suite of ``AirflowPort``."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
from attrs import asdict, evolve

from workflow_core.domain.names import dag_id_for, loader_for, sentinel_dag_id
from workflow_core.domain.run import RunType
from workflow_core.domain.schedule import Schedule
from workflow_core.domain.spec import ParamSpec, spec_hash
from workflow_core.domain.workflow import SourceType
from workflow_core.fakes.airflow_dags import FakeDag, FakeTask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from devstack.airflow import LocalAirflow
    from workflow_core.fakes.airflow import InMemoryAirflow
    from workflow_core.fakes.clock import ManualClock
    from workflow_core.ports.storage import StoragePort
    from workflow_core.testing.airflow import DagSeed

PATIENCE = 60.0
"""The maximum time in seconds until Airflow serves a DAG."""


class BehindServer:
    """Access to a running Airflow with plain requests."""

    sentinel = "contract_sentinel"

    def __init__(self, server: LocalAirflow, folder: Path) -> None:
        self._folder = folder
        self._served: set[str] = set()
        self._database = server.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
        self._user = server.username
        self._stale, self._dateless = (
            ("is_active = false", {}) if server.api_url.endswith("v1") else ("is_stale = true", {"logical_date": None})
        )
        self._http = httpx.Client(
            base_url=server.api_url,
            headers=server.headers(),
            timeout=30,
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def serve(self, *seeds: DagSeed) -> None:
        missing = [seed for seed in seeds if seed.dag_id not in self._served]
        for seed in missing:
            self.write(seed)
        if missing:
            self._parse()
        for seed in missing:
            self._wait(lambda seed=seed: self._http.get(f"/dags/{seed.dag_id}/details").is_success)
        self._served |= {seed.dag_id for seed in missing}

    def write(self, seed: DagSeed) -> str:
        facts = asdict(seed) | {"doc_md": f"A DAG of the tests.\n\n{seed.mark.text()}" if seed.mark else None}
        part = self._folder / f"{seed.dag_id}.part"
        part.write_text(json.dumps(facts))
        part.rename(part.with_suffix(".json"))
        return seed.mark.spec_hash if seed.mark else ""

    def withdraw(self, dag_id: str) -> None:
        """Mark the DAG as stale at once; the DAG processor does so only after ``[dag_processor] stale_dag_threshold``, 50 s."""
        (self._folder / f"{dag_id}.json").unlink()
        with psycopg.connect(self._database, autocommit=True) as connection:
            connection.execute(f"UPDATE dag SET {self._stale} WHERE dag_id = %s", [dag_id])

    def start_elsewhere(self, dag_id: str, run_id: str) -> str:
        body = {"dag_run_id": run_id, **self._dateless}
        pages = {"Referer": str(self._http.base_url)}  # Airflow recognizes requests of its UI by this header
        self._http.post(f"/dags/{dag_id}/dagRuns", json=body, headers=pages).raise_for_status()
        return self._user

    def fire_schedule(self, dag_id: str) -> None:
        """Do nothing: the scheduler starts the run."""

    def runs(self, dag_id: str) -> Mapping[str, Mapping[str, Any]]:
        runs: dict[str, Mapping[str, Any]] = {}
        while True:
            query = f"limit=100&offset={len(runs)}&order_by=id"
            page = self._http.get(f"/dags/{dag_id}/dagRuns?{query}").raise_for_status().json()
            runs |= {run["dag_run_id"]: _plain(run) for run in page["dag_runs"]}
            if len(runs) >= page["total_entries"]:
                return runs

    def has_begun(self, dag_id: str, run_id: str, task_id: str) -> bool:
        return (self._folder / f"{dag_id}.{run_id}.{task_id}.begun").exists()

    def is_paused(self, dag_id: str) -> bool:
        return bool(self._http.get(f"/dags/{dag_id}").raise_for_status().json()["is_paused"])

    def pass_time(self) -> None:
        time.sleep(0.2)

    def _parse(self) -> None:
        self._wait(lambda: self._http.get(f"/dags/{self.sentinel}").is_success)
        token = self._http.get(f"/dags/{self.sentinel}").json()["file_token"]
        assert self._http.put(f"/parseDagFile/{token}").status_code in {201, 409}

    def _wait(self, done: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < deadline
            self.pass_time()


def _plain(run: Mapping[str, Any]) -> Mapping[str, Any]:
    logical, *interval = (
        run[name] and datetime.fromisoformat(run[name])
        for name in ("logical_date", "data_interval_start", "data_interval_end")
    )
    return {
        "state": run["state"],
        "conf": run["conf"],
        "logical_date": logical,
        "data_interval": tuple(interval) if all(interval) else None,
    }


class BehindFake:
    """Access to the state of the fake. Its loader reads specs, so that :meth:`write` stores a spec and returns its hash."""

    def __init__(self, fake: InMemoryAirflow, storage: StoragePort, clock: ManualClock, *, loaders: int) -> None:
        self._fake = fake
        self._storage = storage
        self._clock = clock
        self._loaders = loaders
        self.sentinel = sentinel_dag_id(0, loaders)

    def serve(self, *seeds: DagSeed) -> None:
        for seed in seeds:
            if seed.dag_id not in self._fake._dags:
                self._fake.add_dag(_fake_dag(seed))

    def write(self, seed: DagSeed) -> str:
        name = next(
            name
            for name in (seed.dag_id.replace("_", separator, 1) for separator in ".-")
            if "." in name and dag_id_for(name) == seed.dag_id
        )
        self.sentinel = sentinel_dag_id(loader_for(seed.dag_id, self._loaders), self._loaders)
        text = f"version: v1\nname: {name}\nowner: o\nschedule: {{cron: 0 6 1 1 *}}\n"
        self._storage.put(SourceType.MANUAL, name, text, expected=None)
        return spec_hash(text)

    def withdraw(self, dag_id: str) -> None:
        del self._fake._dags[dag_id]

    def start_elsewhere(self, dag_id: str, run_id: str) -> str:
        self._fake.add_run(dag_id, run_id, run_type=RunType.MANUAL, triggered_by="person@example.com")
        return "person@example.com"

    def fire_schedule(self, dag_id: str) -> None:
        run_id = f"scheduled__{self._clock.now().isoformat()}"
        self._fake.add_run(dag_id, run_id, run_type=RunType.SCHEDULED, triggered_by="scheduler")

    def runs(self, dag_id: str) -> Mapping[str, Mapping[str, Any]]:
        kept = [run for run in self._fake._runs.values() if run.dag_id == dag_id]
        now = self._clock.now()
        return {
            run.run_id: {
                "state": run.seen(now).state,
                "conf": run.conf,
                "logical_date": run.logical_date,
                "data_interval": run.data_interval,
            }
            for run in kept
        }

    def has_begun(self, dag_id: str, run_id: str, task_id: str) -> bool:
        states = self._fake._runs[dag_id, run_id].task_states(self._clock.now())
        return any((task.task_id, task.state) == (task_id, "running") for task in states)

    def is_paused(self, dag_id: str) -> bool:
        return self._fake._dags[dag_id].is_paused

    def pass_time(self) -> None:
        self._clock.sleep(0.2)


def _fake_dag(seed: DagSeed) -> FakeDag:
    dag = FakeDag(
        dag_id=seed.dag_id,
        tasks=tuple(
            FakeTask(
                task_id=task.task_id,
                after=task.after,
                ends=task.ends,
                time=timedelta(seconds=task.seconds) if task.seconds else None,
            )
            for task in seed.tasks
        ),
        params={seed.integer_param: ParamSpec(default=1, type="integer")} if seed.integer_param else {},
        is_paused=seed.paused,
    )
    if seed.mark:
        dag = evolve(dag, spec_hash=seed.mark.spec_hash, error=seed.mark.error)
    return dag if seed.schedule in {None, "@once"} else evolve(dag, schedule=Schedule(cron=seed.schedule))


@contextmanager
def in_front_of(
    choose: Callable[[], str], *, headers: Callable[[], Mapping[str, str]] | None = None, lose_answers: bool = False
) -> Iterator[str]:
    """The address of a proxy that forwards each request to the Airflow that ``choose`` returns.

    ``headers`` replace those of the request. With ``lose_answers`` the proxy drops the response to a change.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            given = {name.lower(): value for name, value in self.headers.items() if name.lower() != "host"}
            given |= {name.lower(): value for name, value in (headers() if headers else {}).items()}
            answer = behind.request(self.command, choose() + self.path, headers=given, content=body)
            self.close_connection = True
            if self.command == "GET" or self.path.startswith("/auth/") or not lose_answers:
                self.send_response(answer.status_code)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_PATCH = do_any  # noqa: N815 - the names that http.server calls

        def log_message(self, *args: object) -> None:
            pass

    with httpx.Client(timeout=30, trust_env=False) as behind:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
