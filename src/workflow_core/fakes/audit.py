"""``AuditPort`` in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_core.domain.paging import key_id, moment_key

if TYPE_CHECKING:
    from workflow_core.domain.act import AuditEntry, AuditEvent, AuditFilter
    from workflow_core.domain.authorization import Visibility
    from workflow_core.domain.paging import Page, PageRequest
    from workflow_core.fakes.store import Key, Store


class InMemoryAudit:
    """:class:`~workflow_core.ports.audit.AuditPort` in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def append(self, act: AuditEntry) -> None:
        with self._store.audited("append", act):
            pass

    def list_events(self, where: AuditFilter, page: PageRequest) -> Page[AuditEvent]:
        with self._store.transaction("list_events"):
            self._store.refuse_malformed_key(page)
            if page.after is not None:
                key_id(page.after[1])
            events = [
                event
                for event in self._store.events
                if self._matches(event, where) and self._sees_name(where.visible, event)
            ]
            ordered = sorted(events, key=self._event_key, reverse=True)
            return self._store.page(ordered, page, self._event_key, lambda key, after: key < after)

    def _sees_name(self, visible: Visibility | None, event: AuditEvent) -> bool:
        named = [workflow for workflow in self._store.workflows.values() if workflow.dataset_name == event.dataset_name]
        return visible is None or (bool(named) and all(self._store.sees(visible, workflow) for workflow in named))

    def _matches(self, event: AuditEvent, where: AuditFilter) -> bool:
        return (
            where.dataset_name in {None, event.dataset_name}
            and where.action in {None, event.action}
            and where.who in {None, event.who}
            and (where.since is None or event.at >= where.since)
            and (where.until is None or event.at < where.until)
        )

    def _event_key(self, event: AuditEvent) -> Key:
        return moment_key(event.at), str(event.id)
