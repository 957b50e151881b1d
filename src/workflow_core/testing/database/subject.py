"""The fixtures that the contract suite needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workflow_core.ports.database import Database


class DatabaseFacts(Protocol):
    """Reads the stored facts without the ports, so that a wrong write and a wrong read cannot cancel out."""

    def workflow_facts(self) -> Mapping[str, Mapping[str, Any]]:
        """By dataset name: ``id`` as text with hyphens, ``dag_id``, ``owner``, ``phase``, ``paused_by``, ``version``, and
        ``updated_at`` in ISO 8601, UTC, with microseconds.
        """
        ...

    def run_facts(self) -> Mapping[str, Mapping[str, Any]]:
        """By run id: ``airflow_run_id``, ``status``, ``params`` (decoded), ``version``, and ``started_at`` in ISO 8601, UTC,
        with microseconds.
        """
        ...

    def code_facts(self) -> Mapping[str, Mapping[str, Any]]:
        """By dataset name: ``etag``, ``problems`` (decoded; None where there are none) and ``version``."""
        ...

    def audit_facts(self) -> Sequence[Mapping[str, Any]]:
        """``who``, ``action``, ``run_id``, ``before`` and ``after`` (decoded) of everything that was recorded, in any order."""
        ...

    def key_facts(self) -> Mapping[str, Mapping[str, Any]]:
        """By idempotency key: ``scope``, ``fingerprint``, ``action``, ``subject``, ``answer``."""
        ...


class DatabaseSubject:
    """The fixtures to provide."""

    @pytest.fixture
    def database(self) -> Database:
        """The implementation, without entities."""
        raise NotImplementedError

    @pytest.fixture
    def behind(self, database: Database) -> DatabaseFacts:
        """The stored facts of ``database``."""
        raise NotImplementedError

    @pytest.fixture
    def unreachable(self) -> Database:
        """The implementation with a database that is not available."""
        raise NotImplementedError
