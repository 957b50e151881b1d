"""The port for CODE objects, each time with one rule broken."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from workflow_core.fakes.code_objects import InMemoryCodeObjects
from workflow_core.fakes.store import Store


class ProblemsAreForgotten(Store):
    def kept(self, entity: Any) -> Any:
        return super().kept(evolve(entity, problems=()) if hasattr(entity, "problems") else entity)


class ObjectsOfOthersAreReplaced(InMemoryCodeObjects):
    def _is_as_read(self, one: Any) -> bool:
        return True


class ForgottenObjectsComeBack(InMemoryCodeObjects):
    def _is_as_read(self, one: Any) -> bool:
        return one.dataset_name not in self._store.code_objects or super()._is_as_read(one)
