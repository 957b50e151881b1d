"""``dli`` with crash points around its three ports, and optionally with a safeguard switched off.

It does not change the product: it wraps the ports in the container that ``dli serve`` and ``dli worker`` build.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from tests.chaos.crash_points import Crashing, Points
from tests.chaos.lease_log import LeaseLog, Witness
from tests.support.databases import each_port
from workflow_entrypoints import container as composition
from workflow_entrypoints.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from workflow_core.domain.run import AirflowRun, TaskState
    from workflow_core.ports.airflow import AirflowPort, ChangedRuns, EndState
    from workflow_entrypoints.container import Container
    from workflow_entrypoints.observability.instrumentation import Instrument
    from workflow_entrypoints.settings import Settings

FOLDER: Final = "CHAOS_FOLDER"
"""Names the folder that the processes share."""

WITHOUT: Final = "CHAOS_WITHOUT"
"""Names the one of :data:`SAFEGUARDS` that is switched off, if any is."""

SAFEGUARDS: Final = {
    "ids": "a new run id for each attempt",
    "leases": "no leases, so that every process may work on everything",
    "epochs": "leases without epochs, so that writes under a lost lease count",
}


class RandomIds:
    """Airflow as seen by a client that generates a run id for each attempt, and remembers the one that was answered."""

    def __init__(self, airflow: AirflowPort, folder: Path) -> None:
        self._airflow = airflow
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def __getattr__(self, method: str) -> Any:
        return getattr(self._airflow, method)

    def trigger(
        self, dag_id: str, run_id: str, *, conf: Mapping[str, Any], logical_date: datetime | None = None
    ) -> AirflowRun:
        made = f"{run_id}~{secrets.token_hex(4)}"
        seen = self._airflow.trigger(dag_id, made, conf=conf, logical_date=logical_date)
        (self._folder / f"{run_id}.part").write_text(made)
        (self._folder / f"{run_id}.part").rename(self._folder / run_id)
        return evolve(seen, run_id=run_id)

    def run(self, dag_id: str, run_id: str) -> AirflowRun | None:
        seen = self._airflow.run(dag_id, self._theirs(run_id))
        return seen and evolve(seen, run_id=run_id)

    def end_run(self, dag_id: str, run_id: str, state: EndState) -> AirflowRun | None:
        seen = self._airflow.end_run(dag_id, self._theirs(run_id), state)
        return seen and evolve(seen, run_id=run_id)

    def clear_run(self, dag_id: str, run_id: str, task_ids: Sequence[str] | None = None) -> bool:
        return self._airflow.clear_run(dag_id, self._theirs(run_id), task_ids)

    def tasks(self, runs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Sequence[TaskState]]:
        asked = {(dag_id, self._theirs(run_id)): (dag_id, run_id) for dag_id, run_id in runs}
        return {asked[key]: states for key, states in self._airflow.tasks(list(asked)).items()}

    def runs_with_ended_tasks(self, runs: Sequence[tuple[str, str]], since: datetime) -> Collection[tuple[str, str]]:
        asked = {(dag_id, self._theirs(run_id)): (dag_id, run_id) for dag_id, run_id in runs}
        return {asked[key] for key in self._airflow.runs_with_ended_tasks(list(asked), since)}

    def changed_runs(self, since: datetime, *, limit: int = 1000) -> ChangedRuns:
        seen = self._airflow.changed_runs(since, limit=limit)
        return evolve(seen, runs=[evolve(run, run_id=run.run_id.partition("~")[0]) for run in seen.runs])

    def _theirs(self, run_id: str) -> str:
        known = self._folder / run_id
        return known.read_text() if known.exists() else run_id


def _build(
    settings: Settings, instruments: Sequence[Instrument] = (), trace_headers: Callable[[], Mapping[str, str]] = dict
) -> Container:
    """The product's container with wrapped ports."""
    container = _plain_build(settings, instruments, trace_headers)
    folder = Path(os.environ[FOLDER])
    without = os.environ.get(WITHOUT)
    points = Points(folder)
    for share in (container.airflow, container.airflow_for_reads, container.airflow_for_worker):
        airflow = share()
        if without == "ids":
            airflow = RandomIds(airflow, folder / "ids")
        share.override(Crashing(airflow, "airflow", points))
    container.storage.override(Crashing(container.storage(), "storage", points))
    witness = Witness(LeaseLog(folder), points, leases=without != "leases", epochs=without != "epochs")
    database = each_port(container.database(), witness.port)
    container.database.override(each_port(database, lambda port: Crashing(port, "database", points)))
    return container


_plain_build = composition.build

if __name__ == "__main__":
    composition.build = _build
    main()
