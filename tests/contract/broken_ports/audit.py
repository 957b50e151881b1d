"""The port for the audit, each time with one rule broken."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from attrs import evolve

from tests.contract.broken_ports.harness import nothing
from workflow_core.domain.caller import Via
from workflow_core.domain.paging import moment_key
from workflow_core.errors import KeyInUse
from workflow_core.fakes.audit import InMemoryAudit
from workflow_core.fakes.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator


class NothingIsAudited(Store):
    keep_event = nothing


class RefusalsAreAudited(Store):
    @contextmanager
    def audited(self, method: str, act: Any) -> Iterator[None]:
        if not self.is_down:
            self.keep_event(act)
        with super().audited(method, act):
            yield
        if not self.is_down and act is not None:
            self.events.pop()


class TakenKeysAreAudited(Store):
    def refuse_taken_key(self, act: Any) -> None:
        try:
            super().refuse_taken_key(act)
        except KeyInUse:
            self.keep_event(act)
            raise


class OnlyKeysAreAudited(Store):
    def keep_event(self, act: Any) -> None:
        super().keep_event(act if act and act.caller.key else None)


class EverythingIsAuditedTwice(Store):
    def keep_event(self, act: Any) -> None:
        super().keep_event(act)
        super().keep_event(act)


class NobodyKnowsFromWhere(Store):
    def kept(self, entity: Any) -> Any:
        kept = super().kept(entity)
        return evolve(kept, address=None) if hasattr(kept, "address") else kept


class EverythingCameByHttp(Store):
    def kept(self, entity: Any) -> Any:
        kept = super().kept(entity)
        return evolve(kept, via=Via.HTTP) if hasattr(kept, "via") else kept


class WhatWasIsForgotten(Store):
    def kept(self, entity: Any) -> Any:
        kept = super().kept(entity)
        return evolve(kept, before=None) if hasattr(kept, "before") else kept


class AuditOfAnyCursor(Store):
    refuse_malformed_key = nothing


def _without(name: str) -> type[InMemoryAudit]:
    """The audit that ignores this filter."""

    def matches(self: Any, event: Any, where: Any) -> bool:
        return InMemoryAudit._matches(self, event, evolve(where, **{name: None}))

    return type(f"AuditOfAny{name.title().replace('_', '')}", (InMemoryAudit,), {"_matches": matches})


AuditOfAnyName = _without("dataset_name")
AuditOfAnyAction = _without("action")
AuditOfAnybody = _without("who")
AuditOfAnyBeginning = _without("since")
AuditOfAnyEnd = _without("until")


class AuditIsInTheOrderOfWriting(InMemoryAudit):
    def _event_key(self, event: Any) -> tuple[str, ...]:
        return moment_key(event.at), f"{[one.id for one in self._store.events].index(event.id):09}"


class AuditIsById(InMemoryAudit):
    def _event_key(self, event: Any) -> tuple[str, ...]:
        return (str(event.id),)


class AuditUntilIncluded(InMemoryAudit):
    def _matches(self, event: Any, where: Any) -> bool:
        until = where.until and where.until + timedelta(microseconds=1)
        return super()._matches(event, evolve(where, until=until))


class AuditSinceExcluded(InMemoryAudit):
    def _matches(self, event: Any, where: Any) -> bool:
        return event.at != where.since and super()._matches(event, where)


class AuditOfWhoeverHasTheName(InMemoryAudit):
    def _sees_name(self, visible: Any, event: Any) -> bool:
        return visible is None or any(
            self._store.sees(visible, one)
            for one in self._store.workflows.values()
            if one.dataset_name == event.dataset_name
        )


class AuditOfNoNameIsVisible(InMemoryAudit):
    def _sees_name(self, visible: Any, event: Any) -> bool:
        return event.dataset_name is None or super()._sees_name(visible, event)
