"""The database as a whole: one port for each kind of record, and what belongs to all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from workflow_core.ports.audit import AuditPort
from workflow_core.ports.backfills import BackfillPort
from workflow_core.ports.code_objects import CodeObjectPort
from workflow_core.ports.idempotency import IdempotencyPort
from workflow_core.ports.leases import LeasePort
from workflow_core.ports.observations import ObservationPort
from workflow_core.ports.workflows import WorkflowPort

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workflow_core.domain.counts import Counts


@runtime_checkable
class Database(Protocol):
    """The ports of one database.

    These rules hold for every method of every port.

    Every method is one transaction. Times are returned aware, in UTC, with microseconds. JSON (``params``, ``spec``) is returned as
    equal values of the same types, of any size; only the order of object keys is not preserved. Every method may raise
    :class:`~workflow_core.errors.DatabaseUnavailable`; then nothing was changed. The exception is its subclass
    :class:`~workflow_core.errors.DatabaseOutcomeUnknown`, raised if the connection broke during the commit: the caller finds the
    outcome by reading ids and versions.

    Texts, including those in JSON, are Unicode that UTF-8 can encode, without NUL. JSON contains no NaN and no infinity. Times are
    aware. The core refuses all other values before it calls a port; the behaviour of an implementation for them is undefined.

    A method that takes an ``act`` writes the audit entry in the transaction of its change: one row of the audit (:attr:`audit`), which
    is never changed or deleted, and the record of the request's idempotency key, if it has one (:attr:`idempotency`). If the key has a
    record already, the method raises :class:`~workflow_core.errors.KeyInUse` and changes nothing. If several callers use one key at the
    same time, exactly one succeeds. Where several errors apply, any of them may be raised.
    """

    @property
    def workflows(self) -> WorkflowPort:
        """Workflows, their revisions and their runs."""
        ...

    @property
    def backfills(self) -> BackfillPort:
        """Backfills."""
        ...

    @property
    def observations(self) -> ObservationPort:
        """What was observed in Airflow."""
        ...

    @property
    def audit(self) -> AuditPort:
        """The audit."""
        ...

    @property
    def idempotency(self) -> IdempotencyPort:
        """Idempotency keys."""
        ...

    @property
    def code_objects(self) -> CodeObjectPort:
        """The last seen state of the CODE objects."""
        ...

    @property
    def leases(self) -> LeasePort:
        """Leases."""
        ...

    def counts(self) -> Counts:
        """The numbers of workflows and active runs, from one cheap query: monitoring calls it every few seconds."""
        ...

    def check(self) -> None:
        """Return if the database answers and has a schema that this version supports.

        Raises:
            DatabaseUnavailable: The database does not answer, or has another schema; the message names the remedy.
        """
        ...


PORTS: Final[Mapping[str, type]] = {
    "workflows": WorkflowPort,
    "backfills": BackfillPort,
    "observations": ObservationPort,
    "audit": AuditPort,
    "idempotency": IdempotencyPort,
    "code_objects": CodeObjectPort,
    "leases": LeasePort,
}
"""The ports of a :class:`Database`, by attribute."""
