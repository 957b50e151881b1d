"""The contract of :class:`~workflow_core.api.WorkflowApi`: every implementation returns the same answers and raises the same errors.

Inherit from :class:`ApiContract` in a class that pytest collects, and override the fixtures of
:class:`~workflow_core.testing.api.subject.ApiSubject`.
"""

from workflow_core.testing.api.audit import AuditRules
from workflow_core.testing.api.backfills import BackfillRules
from workflow_core.testing.api.commands import CommandRules
from workflow_core.testing.api.identity import IdentityRules
from workflow_core.testing.api.lists import ListRules
from workflow_core.testing.api.next_runs import NextRunsRules
from workflow_core.testing.api.refusals import RefusalRules
from workflow_core.testing.api.subject import ApiSubject, ApiWorld, Twins
from workflow_core.testing.api.sync import SyncRules

__all__ = ["ApiContract", "ApiSubject", "ApiWorld", "Twins"]


class ApiContract(
    AuditRules, CommandRules, BackfillRules, IdentityRules, ListRules, NextRunsRules, SyncRules, RefusalRules
):
    """All rules of the protocol as tests."""
