"""Pages and limits, each time with one rule broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from tests.contract.broken_ports.harness import nothing
from workflow_core.fakes.store import Store

if TYPE_CHECKING:
    from workflow_core.domain.paging import PageRequest


class OddKeyIsTaken(Store):
    refuse_malformed_key = nothing


class TotalOfThePage(Store):
    def page(self, *arguments: Any) -> Any:
        page = super().page(*arguments)
        return evolve(page, total=len(page.items))


class AnEmptyPageAtTheEnd(Store):
    def page(self, ordered: Any, page: PageRequest, key: Any, is_after: Any) -> Any:
        result = super().page(ordered, page, key, is_after)
        return evolve(result, next_after=key(result.items[-1])) if len(result.items) == page.limit else result


class OffsetIsIgnored(Store):
    def page(self, ordered: Any, page: PageRequest, key: Any, is_after: Any) -> Any:
        return super().page(ordered, evolve(page, offset=0), key, is_after)


class KeyIsRepeated(Store):
    def page(self, ordered: Any, page: PageRequest, key: Any, is_after: Any) -> Any:
        return super().page(ordered, page, key, lambda own, after: own == after or is_after(own, after))


class LimitIsIgnored(Store):
    def first(self, ordered: Any, limit: int) -> Any:
        return super().first(ordered, limit + 1)
