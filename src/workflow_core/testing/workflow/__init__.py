"""The contract of :class:`~workflow_core.ports.workflow.WorkflowPort`.

Inherit from :class:`WorkflowContract` in a class that pytest collects, and give the fixtures of
:class:`~workflow_core.testing.workflow.subject.WorkflowSubject`. :func:`workflow_machine` compares an implementation with the
fake over random histories.
"""

from workflow_core.testing.workflow.asked import AskedRules
from workflow_core.testing.workflow.audited import AuditedRules
from workflow_core.testing.workflow.backfills import BackfillRules
from workflow_core.testing.workflow.counted import CountedRules
from workflow_core.testing.workflow.driven import DrivenRules
from workflow_core.testing.workflow.history import HistoryRules
from workflow_core.testing.workflow.kept_runs import KeptRunRules
from workflow_core.testing.workflow.leases import LeaseRules
from workflow_core.testing.workflow.leaving import LeavingRules
from workflow_core.testing.workflow.listed import ListedWorkflowRules
from workflow_core.testing.workflow.machine import workflow_machine
from workflow_core.testing.workflow.outage import OutageRules
from workflow_core.testing.workflow.published import PublishedRules
from workflow_core.testing.workflow.registered import RegisteredWorkflowRules
from workflow_core.testing.workflow.revised import RevisedRules
from workflow_core.testing.workflow.seen import SeenRules
from workflow_core.testing.workflow.subject import BehindWorkflows, WorkflowSubject
from workflow_core.testing.workflow.visible import VisibleRules
from workflow_core.testing.workflow.work import WorkRules

__all__ = ["BehindWorkflows", "WorkflowContract", "WorkflowSubject", "workflow_machine"]


class WorkflowContract(
    RegisteredWorkflowRules,
    ListedWorkflowRules,
    RevisedRules,
    LeavingRules,
    KeptRunRules,
    HistoryRules,
    WorkRules,
    BackfillRules,
    DrivenRules,
    PublishedRules,
    SeenRules,
    AskedRules,
    AuditedRules,
    LeaseRules,
    CountedRules,
    VisibleRules,
    OutageRules,
):
    """Every promise of the port, as tests."""
