"""The contract of :class:`~workflow_core.ports.database.Database` and its ports.

Inherit from :class:`DatabaseContract` in a class that pytest collects, and provide the fixtures of
:class:`~workflow_core.testing.database.subject.DatabaseSubject`. :func:`database_machine` compares an implementation with the
database in memory over random histories.
"""

from workflow_core.testing.database.audit import AuditRules
from workflow_core.testing.database.backfills import BackfillRules
from workflow_core.testing.database.code_objects import CodeObjectRules
from workflow_core.testing.database.counts import CountRules
from workflow_core.testing.database.due_backfills import DueBackfillRules
from workflow_core.testing.database.due_runs import DueRunRules
from workflow_core.testing.database.history import HistoryRules
from workflow_core.testing.database.idempotency import IdempotencyRules
from workflow_core.testing.database.leases import LeaseRules
from workflow_core.testing.database.listing import ListingRules
from workflow_core.testing.database.machine import database_machine
from workflow_core.testing.database.observations import ObservationRules
from workflow_core.testing.database.outage import OutageRules
from workflow_core.testing.database.retirement import RetirementRules
from workflow_core.testing.database.revisions import RevisionRules
from workflow_core.testing.database.run_lookups import RunLookupRules
from workflow_core.testing.database.runs import RunRules
from workflow_core.testing.database.subject import DatabaseFacts, DatabaseSubject
from workflow_core.testing.database.visibility import VisibilityRules
from workflow_core.testing.database.workflows import WorkflowRules

__all__ = ["DatabaseContract", "DatabaseFacts", "DatabaseSubject", "database_machine"]


class DatabaseContract(
    WorkflowRules,
    ListingRules,
    RevisionRules,
    RetirementRules,
    RunRules,
    RunLookupRules,
    HistoryRules,
    DueRunRules,
    BackfillRules,
    DueBackfillRules,
    CodeObjectRules,
    ObservationRules,
    IdempotencyRules,
    AuditRules,
    LeaseRules,
    CountRules,
    VisibilityRules,
    OutageRules,
):
    """The contract of the database and its ports, as tests."""
