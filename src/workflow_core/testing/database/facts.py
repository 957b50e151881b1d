"""The stored facts of the database in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import asdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workflow_core.fakes.database import InMemoryDatabase


class InMemoryFacts:
    """Reads the store of the database in memory."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._store = database.store

    def workflow_facts(self) -> Mapping[str, Mapping[str, Any]]:
        """Implements :class:`~workflow_core.testing.database.subject.DatabaseFacts`."""
        return {
            one.dataset_name: {
                "id": str(one.id),
                "dag_id": one.dag_id,
                "owner": one.owner,
                "phase": one.phase.value,
                "paused_by": one.pause.by if one.pause else None,
                "version": one.version,
                "updated_at": one.updated_at.isoformat(timespec="microseconds"),
            }
            for one in self._store.workflows.values()
        }

    def run_facts(self) -> Mapping[str, Mapping[str, Any]]:
        """Implements :class:`~workflow_core.testing.database.subject.DatabaseFacts`."""
        return {
            run_id: {
                "airflow_run_id": one.airflow_run_id,
                "status": one.status.value,
                "params": one.params,
                "version": one.version,
                "started_at": one.started_at.isoformat(timespec="microseconds"),
            }
            for run_id, one in self._store.runs.items()
        }

    def code_facts(self) -> Mapping[str, Mapping[str, Any]]:
        """Implements :class:`~workflow_core.testing.database.subject.DatabaseFacts`."""
        return {
            name: {"etag": one.etag, "problems": list(map(asdict, one.problems)) or None, "version": one.version}
            for name, one in self._store.code_objects.items()
        }

    def audit_facts(self) -> Sequence[Mapping[str, Any]]:
        """Implements :class:`~workflow_core.testing.database.subject.DatabaseFacts`."""
        names = ("who", "action", "run_id", "before", "after")
        return [{name: getattr(one, name) for name in names} for one in self._store.events]

    def key_facts(self) -> Mapping[str, Mapping[str, Any]]:
        """Implements :class:`~workflow_core.testing.database.subject.DatabaseFacts`."""
        return {
            one.key: {
                "scope": one.scope,
                "fingerprint": one.fingerprint,
                "action": one.action.value,
                "subject": one.subject,
                "answer": one.answer,
            }
            for one in self._store.keys.values()
        }
