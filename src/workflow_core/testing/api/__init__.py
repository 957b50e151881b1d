"""The contract of :class:`~workflow_core.api.WorkflowApi`: wherever the service runs, the same answers and the same errors.

Inherit from :class:`ApiContract` in a class that pytest collects, and give the fixtures of
:class:`~workflow_core.testing.api.subject.ApiSubject`.
"""

from workflow_core.testing.api.audited import AuditedRules
from workflow_core.testing.api.backfilled import BackfilledRules
from workflow_core.testing.api.changed import ChangedRules
from workflow_core.testing.api.forecast import ForecastRules
from workflow_core.testing.api.known import KnownRules
from workflow_core.testing.api.listed import ListedRules
from workflow_core.testing.api.published import PublishedRules
from workflow_core.testing.api.refused import RefusedRules
from workflow_core.testing.api.subject import ApiSubject, ApiWorld, Twins

__all__ = ["ApiContract", "ApiSubject", "ApiWorld", "Twins"]


class ApiContract(
    AuditedRules, ChangedRules, BackfilledRules, KnownRules, ListedRules, ForecastRules, PublishedRules, RefusedRules
):
    """Every promise of the protocol, as tests."""
