"""The rules for idempotency keys, and for the audit event and the key that are written together with a change."""

from __future__ import annotations

from datetime import timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import evolve

from workflow_core.domain.audit import Action, key_record
from workflow_core.domain.names import uuid7
from workflow_core.domain.workflow import Phase, first_revision
from workflow_core.errors import ConcurrentUpdate, KeyInUse, WorkflowError
from workflow_core.testing.database.subject import DatabaseFacts, DatabaseSubject
from workflow_core.testing.entities import AT, a_backfill, a_run, a_workflow, an_act, slots_of
from workflow_core.testing.together import together

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.domain.audit import AuditEntry
    from workflow_core.ports.database import Database

KEPT: Final = a_workflow("a.kept")
_R: Final = a_run(KEPT, run_id="kept")
_B: Final = a_backfill(KEPT, days=1)
_NEW: Final = a_workflow("a.new")
_NEXT: Final = evolve(first_revision(KEPT), number=2)
_OTHER: Final = a_backfill(KEPT, days=2)

WHAT: Final[dict[str, Any]] = {"before": {"status": "RUNNING"}, "after": {"status": "STOPPING"}}

CHANGES: Final[dict[str, Callable[[Database, AuditEntry], object]]] = {
    "add_workflow": lambda database, act: database.workflows.add_workflow(_NEW, act=act),
    "save_workflow": lambda database, act: database.workflows.save_workflow(evolve(KEPT, owner="x"), act=act),
    "revise_workflow": lambda database, act: database.workflows.revise_workflow(
        evolve(KEPT, revision=2), _NEXT, act=act
    ),
    "retire_workflow": lambda database, act: database.workflows.retire_workflow(
        evolve(KEPT, phase=Phase.UNREGISTERING), force=True, act=act
    ),
    "add_run": lambda database, act: database.workflows.add_run(a_run(KEPT, run_id="new"), act=act),
    "add_run of a version": lambda database, act: database.workflows.add_run(
        a_run(KEPT, run_id="new"), of_version=KEPT.version, act=act
    ),
    "save_run": lambda database, act: database.workflows.save_run(evolve(_R, reason="x"), act=act),
    "add_backfill": lambda database, act: database.backfills.add_backfill(
        _OTHER, slots_of(KEPT, _OTHER), dated=1, act=act
    ),
    "save_backfill": lambda database, act: database.backfills.save_backfill(
        evolve(_B, max_active=9), [evolve(_R, reason="x")], act=act
    ),
    "append": lambda database, act: database.audit.append(act),
}
"""Every method that takes an audit entry."""

STALE: Final[dict[str, Callable[[Database, AuditEntry], object]]] = {
    "add_workflow": lambda database, act: database.workflows.add_workflow(evolve(KEPT, id=uuid7(AT)), act=act),
    "save_workflow": lambda database, act: database.workflows.save_workflow(evolve(KEPT, version=9), act=act),
    "revise_workflow": lambda database, act: database.workflows.revise_workflow(
        evolve(KEPT, version=9), _NEXT, act=act
    ),
    "retire_workflow": lambda database, act: database.workflows.retire_workflow(KEPT, force=False, act=act),
    "add_run": lambda database, act: database.workflows.add_run(_R, act=act),
    "add_run of a version": lambda database, act: database.workflows.add_run(
        a_run(KEPT, run_id="new"), of_version=9, act=act
    ),
    "add_run of nothing": lambda database, act: database.workflows.add_run(a_run(_NEW), act=act),
    "save_run": lambda database, act: database.workflows.save_run(evolve(_R, version=9), act=act),
    "add_backfill": lambda database, act: database.backfills.add_backfill(
        _OTHER, slots_of(KEPT, _OTHER), dated=9, act=act
    ),
    "save_backfill": lambda database, act: database.backfills.save_backfill(_B, [evolve(_R, version=9)], act=act),
}
"""Changes that are refused."""


class FilledSubject(DatabaseSubject):
    """A database with entities that can be changed."""

    @pytest.fixture
    def filled(self, database: Database) -> Database:
        """A database with the entities that :data:`CHANGES` change."""
        database.workflows.add_workflow(KEPT)
        database.workflows.add_run(_R)
        database.backfills.add_backfill(
            _B, [], dated=len(database.workflows.dated_runs(KEPT, _B.start_date, _B.end_date))
        )
        return database


class IdempotencyRules(FilledSubject):
    """The rules for audit entries and idempotency keys."""

    @pytest.mark.parametrize("method", CHANGES)
    def test_an_act_is_kept_with_the_change(self, filled: Database, behind: DatabaseFacts, method: str) -> None:
        """The key has a record without a response, and the audit has one event with the request, its caller and its subject."""
        act = an_act("k1", scope="ann", fingerprint="f1", **WHAT)
        CHANGES[method](filled, act)
        assert list(behind.audit_facts()) == [{"who": "ann", "action": "run", "run_id": "r1", **WHAT}]
        facts = {"scope": "ann", "fingerprint": "f1", "action": "run", "subject": "r1", "answer": None}
        assert behind.key_facts() == {"k1": facts}
        assert filled.idempotency.key_record("ann", "k1") == key_record(act)

    @pytest.mark.parametrize("method", CHANGES)
    def test_a_taken_key_keeps_the_change_away(self, filled: Database, behind: DatabaseFacts, method: str) -> None:
        """A change with a taken key is refused, and the first record is unchanged."""
        filled.audit.append(an_act("k", fingerprint="first"))
        before = behind.workflow_facts(), behind.run_facts(), filled.backfills.backfill(_B.backfill_id)
        with pytest.raises(KeyInUse, match="'k'"):
            CHANGES[method](filled, an_act("k", fingerprint="second"))
        assert (behind.workflow_facts(), behind.run_facts(), filled.backfills.backfill(_B.backfill_id)) == before
        assert filled.backfills.backfill(_OTHER.backfill_id) is None
        assert [facts["fingerprint"] for facts in behind.key_facts().values()] == ["first"]
        assert len(behind.audit_facts()) == 1

    @pytest.mark.parametrize("method", CHANGES)
    def test_without_a_key_none_is_kept(self, filled: Database, behind: DatabaseFacts, method: str) -> None:
        """A change without a key is made and audited, and no key is recorded."""
        CHANGES[method](filled, an_act(None, scope="ann", **WHAT))
        assert behind.key_facts() == {}
        assert list(behind.audit_facts()) == [{"who": "ann", "action": "run", "run_id": "r1", **WHAT}]

    @pytest.mark.parametrize("method", STALE)
    def test_what_is_refused_keeps_no_act(self, filled: Database, behind: DatabaseFacts, method: str) -> None:
        """A refused change records neither an event nor a key, so the key can be used again."""
        with pytest.raises(WorkflowError) as caught:
            STALE[method](filled, an_act("k"))
        assert not isinstance(caught.value, KeyInUse)
        assert (behind.key_facts(), behind.audit_facts()) == ({}, [])
        assert filled.idempotency.key_record("user@example.com", "k") is None

    def test_keys_are_of_their_caller(self, database: Database) -> None:
        """Keys belong to their caller: two callers can use the same key for different requests."""
        for scope in ("ann", "Ann", "bob"):
            database.audit.append(an_act("k", scope=scope, fingerprint=f"of {scope}"))
        found = [database.idempotency.key_record(scope, "k") for scope in ("ann", "Ann", "bob", "eve")]
        assert [record and record.fingerprint for record in found] == ["of ann", "of Ann", "of bob", None]

    def test_keys_are_compared_letter_by_letter(self, database: Database) -> None:
        """Keys are compared exactly: upper case is another key, and no character is a wildcard."""
        database.audit.append(an_act("a_b"))
        for other in ("A_B", "axb", "a_b!", "a%"):
            assert database.idempotency.key_record("user@example.com", other) is None

    def test_a_record_comes_back_as_it_was(self, database: Database) -> None:
        """Every field of a record is returned, its moment in UTC."""
        act = an_act(
            "~" * 255,
            action=Action.PAUSE,
            at=AT.astimezone(timezone(timedelta(hours=9))),
            run_id=None,
            workflow_id=KEPT.id,
        )
        database.audit.append(act)
        found = database.idempotency.key_record("user@example.com", "~" * 255)
        assert found == key_record(act)
        assert found is not None
        assert (found.at.utcoffset(), found.subject) == (timedelta(0), str(KEPT.id))

    def test_the_first_answer_is_kept(self, database: Database, behind: DatabaseFacts) -> None:
        """The first response is stored and returned unchanged to every later caller."""
        database.audit.append(an_act("k"))
        answer = '{"a": "ünï 数据 🙂 \\\\u0000 \'",  "b":1.0}' * 1000
        assert database.idempotency.store_response("user@example.com", "k", answer) == answer
        assert database.idempotency.store_response("user@example.com", "k", "{}") == answer
        assert behind.key_facts()["k"]["answer"] == answer
        found = database.idempotency.key_record("user@example.com", "k")
        assert found is not None
        assert found.answer == answer

    def test_an_answer_to_nothing_is_not_kept(self, database: Database, behind: DatabaseFacts) -> None:
        """A response for an unknown key, or for the key of another caller, is not stored."""
        database.audit.append(an_act("k"))
        assert database.idempotency.store_response("user@example.com", "K", "{}") is None
        assert database.idempotency.store_response("eve", "k", "{}") is None
        assert behind.key_facts()["k"]["answer"] is None

    def test_one_of_many_with_one_key_succeeds(self, filled: Database, behind: DatabaseFacts) -> None:
        """Of many concurrent requests with one key, one adds its run, and the record names that run."""
        ids = [f"r{number}" for number in range(8)]
        outcomes = together(
            [
                partial(filled.workflows.add_run, a_run(KEPT, run_id=one), of_version=1, act=an_act("k", run_id=one))
                for one in ids
            ]
        )
        assert [type(one) for one in outcomes if one is not None] == [KeyInUse] * 7
        [added] = set(behind.run_facts()) - {"kept"}
        assert behind.key_facts()["k"]["subject"] == added

    def test_one_of_many_saves_with_one_key_succeeds(self, filled: Database) -> None:
        """Of many concurrent saves of different workflows with one key, one succeeds."""
        others = [a_workflow(f"a.w{number}") for number in range(8)]
        for one in others:
            filled.workflows.add_workflow(one)
        outcomes = together([partial(filled.workflows.save_workflow, one, act=an_act("k")) for one in others])
        assert [type(one) for one in outcomes].count(KeyInUse) == 7
        versions = [found.version for one in others if (found := filled.workflows.workflow(one.dataset_name))]
        assert sorted(versions) == [1] * 7 + [2]

    def test_one_of_many_answers_is_kept(self, database: Database) -> None:
        """Of many concurrent responses one is stored, and all callers return it."""
        database.audit.append(an_act("k"))
        given = [f'{{"n": {number}}}' for number in range(8)]
        told = together([partial(database.idempotency.store_response, "user@example.com", "k", one) for one in given])
        assert len(set(map(str, told))) == 1
        assert told[0] in given

    def test_old_keys_are_purged_the_oldest_first(self, database: Database, behind: DatabaseFacts) -> None:
        """Keys recorded before the moment are deleted, with or without a response, the oldest first and up to the limit."""
        for name, minutes in {"new": 2, "old": -2, "exactly": 0, "older": -3, "just": -1}.items():
            database.audit.append(an_act(name, at=AT + minutes * timedelta(microseconds=1)))
        database.idempotency.store_response("user@example.com", "older", "{}")
        assert database.idempotency.purge_keys(AT, 2) == 2
        assert set(behind.key_facts()) == {"new", "exactly", "just"}
        assert database.idempotency.purge_keys(AT, 2) == 1
        assert database.idempotency.purge_keys(AT, 2) == 0
        assert set(behind.key_facts()) == {"new", "exactly"}

    def test_a_purged_key_is_new_again(self, database: Database) -> None:
        """A purged key can be used for another request."""
        database.audit.append(an_act("k", fingerprint="first"))
        database.idempotency.purge_keys(AT + timedelta(days=1), 1)
        database.audit.append(an_act("k", fingerprint="second"))
        found = database.idempotency.key_record("user@example.com", "k")
        assert found is not None
        assert found.fingerprint == "second"

    def test_a_lost_race_leaves_the_key_to_the_next_try(self, filled: Database) -> None:
        """A change that is refused as outdated can be repeated with the same audit entry."""
        act = an_act("k")
        with pytest.raises(ConcurrentUpdate):
            filled.workflows.save_run(evolve(_R, version=9), act=act)
        assert filled.workflows.save_run(_R, act=act).version == 2
        assert filled.idempotency.key_record("user@example.com", "k") == key_record(act)
