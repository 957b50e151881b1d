"""Read the audit entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_core.domain.names import check_dataset_name, unstorable
from workflow_core.errors import InvalidRequest

if TYPE_CHECKING:
    from workflow_core.domain.audit import AuditEvent, AuditFilter
    from workflow_core.domain.paging import Page, PageRequest
    from workflow_core.usecases.context import Context


def audit(where: AuditFilter, page: PageRequest, context: Context) -> Page[AuditEvent]:
    """Return the audit entries, latest first, including those of workflows that are no longer registered.

    Raises:
        InvalidRequest: the dataset name or the caller's name is invalid, or ``until`` is before ``since``.
    """
    if where.dataset_name is not None:
        check_dataset_name(where.dataset_name)
    if where.who is not None and (problem := unstorable(where.who)):
        raise InvalidRequest(problem, field="who")
    if where.since and where.until and where.until < where.since:
        raise InvalidRequest("lies before since", field="until")
    return context.db.audit.list_events(where, page)
