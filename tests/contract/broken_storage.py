"""The object store in memory, each time with one rule of the port broken; ``test_suites.py`` runs the suite against each."""

from __future__ import annotations

from contextlib import nullcontext
from time import sleep
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tests.contract.memory_storage import BehindMemory
from workflow_core.domain.stored import stored_text
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import InvalidWorkflowSpec, StorageConflict
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.testing.storage import StorageContract

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workflow_core.ports.storage import StoredRef, StoredSpec


class UrlWithoutSource(InMemoryStorage):
    def url(self, source: SourceType, dataset_name: str) -> str:
        return super().url(source, dataset_name).replace(f"/{source.lower()}/", "/")


class UrlWithoutEnding(InMemoryStorage):
    def url(self, source: SourceType, dataset_name: str) -> str:
        return super().url(source, dataset_name).removesuffix(".yaml")


class ExpectsNothing(InMemoryStorage):
    def _require(self, key: Any, expected: str | None) -> None:
        pass


class ReplacesWhatItDidNotExpect(InMemoryStorage):
    def _require(self, key: Any, expected: str | None) -> None:
        if expected is None:
            super()._require(key, expected)


class CreatesWhatExists(InMemoryStorage):
    def _require(self, key: Any, expected: str | None) -> None:
        if expected is not None:
            super()._require(key, expected)


class BringsBackWhatIsGone(InMemoryStorage):
    def _require(self, key: Any, expected: str | None) -> None:
        if key in self._objects:
            super()._require(key, expected)


class WritesThoughItConflicts(InMemoryStorage):
    def put(self, source: SourceType, dataset_name: str, text: str, *, expected: str | None) -> str:
        try:
            return super().put(source, dataset_name, text, expected=expected)
        except StorageConflict:
            self.put_raw(source, dataset_name, text.encode())
            raise


class RepeatConflicts(InMemoryStorage):
    def put(self, source: SourceType, dataset_name: str, text: str, *, expected: str | None) -> str:
        if self.raw(source, dataset_name) == text.encode():
            raise StorageConflict(self.url(source, dataset_name))
        return super().put(source, dataset_name, text, expected=expected)


class NoLock(InMemoryStorage):
    def __init__(self) -> None:
        super().__init__()
        self._lock: Any = nullcontext()

    def _require(self, key: Any, expected: str | None) -> None:
        super()._require(key, expected)
        sleep(0.01)  # the time that a store may need between the read and the write


class OneEtag(InMemoryStorage):
    def _etag(self, data: bytes) -> str:
        return "etag"


class EtagOfTheLength(InMemoryStorage):
    def _etag(self, data: bytes) -> str:
        return str(len(data))


class PutAnswersAnotherEtag(InMemoryStorage):
    def put(self, source: SourceType, dataset_name: str, text: str, *, expected: str | None) -> str:
        return super().put(source, dataset_name, text, expected=expected) + "-weak"


class LineEndingsAreChanged(InMemoryStorage):
    def put(self, source: SourceType, dataset_name: str, text: str, *, expected: str | None) -> str:
        return super().put(source, dataset_name, text.replace("\r\n", "\n"), expected=expected)


class ReadsLatin1(InMemoryStorage):
    def _text(self, data: bytes, limit: int) -> str:
        stored_text(b"x" * len(data), limit)
        return data.decode("latin-1")


class IgnoresWhatIsNoText(InMemoryStorage):
    def _text(self, data: bytes, limit: int) -> str:
        stored_text(b"x" * len(data), limit)
        return data.decode(errors="replace")


class NoLimit(InMemoryStorage):
    def _text(self, data: bytes, limit: int) -> str:
        return stored_text(data, 10**9)


class LimitCountsCharacters(InMemoryStorage):
    def _text(self, data: bytes, limit: int) -> str:
        if len(data.decode(errors="replace")) > limit:
            raise InvalidWorkflowSpec(f"more than {limit} bytes")
        return stored_text(data, 10**9)


class LimitIsOneTooSmall(InMemoryStorage):
    def _text(self, data: bytes, limit: int) -> str:
        return stored_text(data, limit - 1)


class SourcesAreMixed(InMemoryStorage):
    def get(self, source: SourceType, dataset_name: str, *, limit: int) -> StoredSpec | None:
        specs = (super(SourcesAreMixed, self).get(each, dataset_name, limit=limit) for each in SourceType)
        return next((spec for spec in specs if spec), None)


class DeleteAlwaysSaysTrue(InMemoryStorage):
    def delete(self, source: SourceType, dataset_name: str) -> bool:
        super().delete(source, dataset_name)
        return True


class DeleteDoesNothing(InMemoryStorage):
    def delete(self, source: SourceType, dataset_name: str) -> bool:
        return self.stat(source, dataset_name) is not None


class DeleteTakesBothSources(InMemoryStorage):
    def delete(self, source: SourceType, dataset_name: str) -> bool:
        return sum(super(DeleteTakesBothSources, self).delete(each, dataset_name) for each in SourceType) > 0


class ListOfBothSources(InMemoryStorage):
    def _listed(self, source: SourceType) -> Sequence[Any]:
        return sorted(self._objects, key=lambda key: key[1])


class ListInOrderOfKeys(InMemoryStorage):
    def _listed(self, source: SourceType) -> Sequence[Any]:
        return sorted(super()._listed(source), key=lambda key: f"{key[1]}.yaml")


class ListIgnoresCase(InMemoryStorage):
    def _listed(self, source: SourceType) -> Sequence[Any]:
        return sorted(super()._listed(source), key=lambda key: key[1].lower())


class ListEndsAfterOnePage(InMemoryStorage):
    def _listed(self, source: SourceType) -> Sequence[Any]:
        return super()._listed(source)[:1000]


class EmptyListIsAnError(InMemoryStorage):
    def _listed(self, source: SourceType) -> Sequence[Any]:
        keys = super()._listed(source)
        if not keys:
            raise StorageConflict("empty")
        return keys


class ListIsEmptyInAnOutage(InMemoryStorage):
    def list(self, source: SourceType) -> Iterator[StoredRef]:
        return iter(()) if self._down else super().list(source)


class StatIsNoneInAnOutage(InMemoryStorage):
    def stat(self, source: SourceType, dataset_name: str) -> StoredRef | None:
        return None if self._down else super().stat(source, dataset_name)


class CheckNeverFails(InMemoryStorage):
    def check(self) -> None:
        pass


class SizeInCharacters(InMemoryStorage):
    def _ref(self, key: Any) -> StoredRef:
        from attrs import evolve

        return evolve(super()._ref(key), size=len(self._objects[key].data.decode(errors="replace")))


class TimeWithoutZone(InMemoryStorage):
    def _ref(self, key: Any) -> StoredRef:
        from attrs import evolve

        return evolve(super()._ref(key), modified_at=self._objects[key].modified_at.replace(tzinfo=None))


class HalfWritesAreSeen(InMemoryStorage):
    def _store(self, key: Any, data: bytes) -> str:
        self._lock: Any = nullcontext()
        super()._store(key, data[: len(data) // 2])
        sleep(0.002)
        return super()._store(key, data)


BROKEN: list[type[InMemoryStorage]] = [
    kind for kind in list(vars().values()) if isinstance(kind, type) and issubclass(kind, InMemoryStorage)
]
BROKEN.remove(InMemoryStorage)


class TestBroken(StorageContract):
    """The suite; ``until_red.py`` runs it against each of ``kinds`` in turn."""

    kinds: ClassVar[list[type[InMemoryStorage]]] = [InMemoryStorage, *BROKEN]
    kind: type[InMemoryStorage]

    @pytest.fixture
    def port(self) -> InMemoryStorage:
        return self.kind()

    @pytest.fixture
    def behind(self, port: InMemoryStorage) -> Any:
        return BehindMemory(port)

    @pytest.fixture
    def unreachable(self) -> InMemoryStorage:
        fake = self.kind()
        fake.go_down()
        return fake
