"""The port for the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from workflow_core.domain.audit import AuditEntry, AuditEvent, AuditFilter
    from workflow_core.domain.paging import Page, PageRequest


@runtime_checkable
class AuditPort(Protocol):
    """The audit: an append-only list of accepted requests.

    Methods of the other ports that take an ``act`` append to it in their own transaction.
    :class:`~workflow_core.ports.database.Database` lists the rules that hold for every method.
    """

    def append(self, act: AuditEntry) -> None:
        """Append an entry for an accepted request that changed nothing: the desired state was reached already."""
        ...

    def list_events(self, where: AuditFilter, page: PageRequest) -> Page[AuditEvent]:
        """Recorded events, latest first, then by id, descending as text.

        The key of a page is ``(at, id)``, as for :meth:`~workflow_core.ports.runs.RunPort.history`.

        Raises:
            InvalidRequest: ``page.after`` is not such a key.
        """
        ...
