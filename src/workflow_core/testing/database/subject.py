"""What a suite needs from whoever runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workflow_core.ports.database import Database


class DatabaseFacts(Protocol):
    """A look at what is really kept, without the port, so that a wrong write and a wrong read cannot cancel out."""

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
    """The fixtures to give."""

    @pytest.fixture
    def database(self) -> Database:
        """The implementation, empty."""
        raise NotImplementedError

    @pytest.fixture
    def behind(self, database: Database) -> DatabaseFacts:
        """A look behind ``database``."""
        raise NotImplementedError

    @pytest.fixture
    def unreachable(self) -> Database:
        """The implementation, its database away."""
        raise NotImplementedError
