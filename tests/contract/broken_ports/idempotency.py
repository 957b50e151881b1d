"""The port for idempotency keys, each time with one rule broken."""

from __future__ import annotations

import json
from contextlib import contextmanager
from time import sleep
from typing import TYPE_CHECKING, Any

from attrs import evolve

from tests.contract.broken_ports.harness import nothing
from workflow_core.fakes.idempotency import InMemoryIdempotency
from workflow_core.fakes.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator


class KeysAreNotKept(Store):
    keep_key = nothing


class KeysAreOverwritten(Store):
    refuse_taken_key = nothing


class KeysOfRefusalsAreKept(Store):
    @contextmanager
    def audited(self, method: str, act: Any) -> Iterator[None]:
        with self.transaction(method):
            self.refuse_taken_key(act)
            self.keep_key(act)
            yield


class KeysAreCheckedAfterTheChange(Store):
    @contextmanager
    def audited(self, method: str, act: Any) -> Iterator[None]:
        with self.transaction(method):
            yield
            self.refuse_taken_key(act)
            self.keep_key(act)


class KeysAreKeptBeforeAndApart(Store):
    @contextmanager
    def audited(self, method: str, act: Any) -> Iterator[None]:
        self.refuse_taken_key(act)
        sleep(0.01)  # the time that a database may take between the check and the write
        with super().audited(method, None):
            yield
            self.keep_key(act)


class TheFingerprintIsForgotten(Store):
    def kept(self, entity: Any) -> Any:
        kept = super().kept(entity)
        return evolve(kept, fingerprint="") if hasattr(kept, "fingerprint") else kept


class KeysAreOfEverybody(Store):
    def keep_key(self, act: Any) -> None:
        super().keep_key(act and evolve(act, caller=evolve(act.caller, name="anybody")))

    def refuse_taken_key(self, act: Any) -> None:
        super().refuse_taken_key(act and evolve(act, caller=evolve(act.caller, name="anybody")))

    class also(InMemoryIdempotency):  # noqa: N801 - an attribute of the harness
        def key_record(self, scope: str, text: str) -> Any:
            record = super().key_record("anybody", text)
            return record and evolve(record, scope=scope)


class KeysHaveNoCase(InMemoryIdempotency):
    def key_record(self, scope: str, text: str) -> Any:
        return super().key_record(scope, text.lower())


class TheLastAnswerIsKept(InMemoryIdempotency):
    def _answered(self, record: Any, answer: str) -> Any:
        return evolve(record, answer=answer)


class TheAnswerIsMine(InMemoryIdempotency):
    def store_response(self, scope: str, text: str, answer: str) -> str | None:
        return answer if super().store_response(scope, text, answer) else None


class AnswersToNothing(InMemoryIdempotency):
    def store_response(self, scope: str, text: str, answer: str) -> str | None:
        return super().store_response(scope, text, answer) or answer


class AnswersAreTidied(InMemoryIdempotency):
    def _answered(self, record: Any, answer: str) -> Any:
        return super()._answered(record, json.dumps(json.loads(answer)))


class UnansweredKeysStay(InMemoryIdempotency):
    def _is_expired(self, record: Any, before: Any) -> bool:
        return record.answer is not None and super()._is_expired(record, before)


class KeysOfThisMomentGo(InMemoryIdempotency):
    def _is_expired(self, record: Any, before: Any) -> bool:
        return bool(record.at <= before)


class AllOldKeysGo(InMemoryIdempotency):
    def purge_keys(self, before: Any, limit: int) -> int:
        return super().purge_keys(before, 1_000_000)
