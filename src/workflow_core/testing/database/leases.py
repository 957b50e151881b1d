"""The rules for leases, and for the writes that they fence."""

from __future__ import annotations

from datetime import timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest
from attrs import evolve

from workflow_core.domain.code import CodeObject
from workflow_core.domain.conditions import AirflowState, Observation
from workflow_core.domain.lease import Lease
from workflow_core.domain.workflow import first_revision
from workflow_core.errors import LeaseLost
from workflow_core.testing.database.subject import DatabaseSubject
from workflow_core.testing.entities import AT, a_backfill, a_run, a_workflow
from workflow_core.testing.together import together

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow
    from workflow_core.ports.database import Database
    from workflow_core.testing.database.subject import DatabaseFacts

SOON: Final = AT + timedelta(seconds=30)
LATER: Final = AT + timedelta(seconds=60)
WORKERS: Final = 8

_SEEN: Final = CodeObject(dataset_name="a.b", etag="1", seen_at=AT, checked_by="x", version=0)

WRITES: Final[dict[str, Callable[[Database, Workflow, Run], object]]] = {
    "add_workflow": lambda database, _, __: database.workflows.add_workflow(a_workflow("a.other")),
    "save_workflow": lambda database, owner, _: database.workflows.save_workflow(owner),
    "revise_workflow": lambda database, owner, _: database.workflows.revise_workflow(
        owner, evolve(first_revision(owner), number=2)
    ),
    "retire_workflow": lambda database, owner, _: database.workflows.retire_workflow(owner, force=True),
    "record_attempt": lambda database, owner, _: database.workflows.record_attempt([owner], AT),
    "save_code_objects": lambda database, _, __: database.code_objects.save_code_objects([_SEEN], []),
    "add_run": lambda database, owner, _: database.workflows.add_run(a_run(owner, nth=2)),
    "save_run": lambda database, _, run: database.workflows.save_run(run),
    "add_backfill": lambda database, owner, _: database.backfills.add_backfill(a_backfill(owner), [], dated=1),
    "save_observed_until": lambda database, _, __: database.observations.save_observed_until(AT),
    "save_observations": lambda database, owner, _: database.observations.save_observations(
        [Observation(workflow_id=owner.id)]
    ),
    "save_airflow_state": lambda database, _, __: database.observations.save_airflow_state(AirflowState(offset=7)),
}


class LeaseRules(DatabaseSubject):
    """The rules for leases."""

    @pytest.fixture
    def owner(self, database: Database) -> Workflow:
        """A workflow, stored in ``database``."""
        workflow = a_workflow()
        database.workflows.add_workflow(workflow)
        return workflow

    def test_free_keys_are_leased(self, database: Database) -> None:
        """Every free key is leased to the owner until the given moment."""
        there = SOON.astimezone(timezone(timedelta(hours=9)))
        acquired = database.leases.acquire(["b", "a", "a"], owner="me", at=AT, until=there)
        assert acquired == {name: Lease(lease_key=name, owner="me", epoch=1, until=SOON) for name in "ab"}
        assert database.leases.acquire([], owner="me", at=AT, until=SOON) == {}

    def test_leased_keys_are_not_leased_again(self, database: Database) -> None:
        """A leased key is refused to every owner, including the holder, until the lease expires; the free keys of the
        same call are leased.
        """
        database.leases.acquire(["a"], owner="me", at=AT, until=SOON)
        just_before = SOON - timedelta(microseconds=1)
        assert set(database.leases.acquire(["a", "b"], owner="me", at=just_before, until=LATER)) == {"b"}
        assert set(database.leases.acquire(["a"], owner="you", at=just_before, until=LATER)) == set()
        assert set(database.leases.acquire(["a"], owner="you", at=SOON, until=LATER)) == {"a"}

    def test_every_lease_has_a_greater_epoch(self, database: Database) -> None:
        """The epoch rises with every lease of a key: after a release, after the expiry, and for the same owner."""
        first = database.leases.acquire(["a"], owner="me", at=AT, until=SOON)["a"]
        database.leases.release([first])
        second = database.leases.acquire(["a"], owner="me", at=AT, until=SOON)["a"]
        third = database.leases.acquire(["a"], owner="you", at=SOON, until=LATER)["a"]
        assert first.epoch < second.epoch < third.epoch
        assert (third.owner, third.until) == ("you", LATER)

    def test_one_of_many_gets_it(self, database: Database) -> None:
        """Of eight callers that acquire the same keys at the same time, in any order, exactly one gets each key."""
        names = [f"s{number}" for number in range(20)]
        for _ in range(3):
            orders = [names if worker % 2 else names[::-1] for worker in range(WORKERS)]
            answers = together(
                [
                    partial(database.leases.acquire, order, owner=f"w{worker}", at=AT, until=SOON)
                    for worker, order in enumerate(orders)
                ]
            )
            acquired = [lease for answer in answers if isinstance(answer, dict) for lease in answer.values()]
            assert sorted(lease.lease_key for lease in acquired) == sorted(names), answers
            database.leases.release(acquired)

    def test_a_released_one_is_free(self, database: Database) -> None:
        """A released key is free before its expiry, for every owner."""
        database.leases.release(database.leases.acquire(["a", "b"], owner="me", at=AT, until=SOON).values())
        database.leases.release([])
        assert set(database.leases.acquire(["a", "b"], owner="you", at=AT, until=SOON)) == {"a", "b"}

    def test_only_ones_own_is_released(self, database: Database) -> None:
        """A release with an old lease ends neither the lease of another owner nor a later one of the same owner."""
        old = database.leases.acquire(["a"], owner="me", at=AT, until=AT)["a"]
        database.leases.acquire(["a"], owner="me", at=AT, until=SOON)
        database.leases.release([old, evolve(old, epoch=2, owner="you"), evolve(old, lease_key="b")])
        assert database.leases.acquire(["a"], owner="you", at=AT, until=SOON) == {}

    def test_it_can_be_renewed(self, database: Database) -> None:
        """A renewed lease expires at the new moment and keeps its epoch."""
        lease = database.leases.acquire(["a"], owner="me", at=AT, until=SOON)["a"]
        assert database.leases.renew(lease, LATER) == evolve(lease, until=LATER)
        assert database.leases.acquire(["a"], owner="you", at=SOON, until=LATER) == {}
        assert set(database.leases.acquire(["a"], owner="you", at=LATER, until=LATER)) == {"a"}

    def test_a_lost_one_cannot_be_renewed(self, database: Database) -> None:
        """A lease that another owner has acquired, or that was released, cannot be renewed; one that only expired can."""
        ended = database.leases.acquire(["a"], owner="me", at=AT, until=AT)["a"]
        database.leases.renew(ended, AT)
        database.leases.acquire(["a"], owner="you", at=AT, until=AT)
        with pytest.raises(LeaseLost, match="'a'"):
            database.leases.renew(ended, SOON)
        released = database.leases.acquire(["b"], owner="me", at=AT, until=SOON)["b"]
        database.leases.release([released])
        with pytest.raises(LeaseLost):
            database.leases.renew(released, LATER)
        assert set(database.leases.acquire(["a", "b"], owner="you", at=AT, until=LATER)) == {"a", "b"}

    @pytest.mark.parametrize("name", WRITES)
    def test_under_a_lease_everything_is_written(self, database: Database, owner: Workflow, name: str) -> None:
        """Under a lease every write succeeds, also after its expiry, as long as no other owner has acquired the key."""
        run = a_run(owner)
        database.workflows.add_run(run)
        lease = database.leases.acquire(["a"], owner="me", at=AT, until=AT)["a"]
        with database.leases.under(lease):
            WRITES[name](database, owner, run)

    @pytest.mark.parametrize("name", WRITES)
    def test_under_a_lost_lease_nothing_is_written(
        self, database: Database, owner: Workflow, behind: DatabaseFacts, name: str
    ) -> None:
        """After another owner has acquired the key, no writing method changes anything."""
        run = a_run(owner)
        database.workflows.add_run(run)
        before = behind.workflow_facts(), behind.run_facts()
        lease = database.leases.acquire(["a"], owner="me", at=AT, until=AT)["a"]
        database.leases.acquire(["a"], owner="you", at=AT, until=SOON)
        with database.leases.under(lease), pytest.raises(LeaseLost, match="'a'"):
            WRITES[name](database, owner, run)
        assert (behind.workflow_facts(), behind.run_facts()) == before
        assert (
            database.observations.observed_until(),
            database.observations.observations([owner.id]),
            database.observations.airflow_state(),
        ) == (
            None,
            {},
            AirflowState(),
        )
        WRITES[name](database, owner, run)

    def test_under_a_released_lease_nothing_is_written(self, database: Database, owner: Workflow) -> None:
        """After a release no write succeeds, also after the lease was purged."""
        lease = database.leases.acquire(["a"], owner="me", at=AT, until=SOON)["a"]
        database.leases.release([lease])
        with database.leases.under(lease), pytest.raises(LeaseLost):
            database.workflows.save_workflow(owner)
        database.leases.purge_leases(LATER)
        with database.leases.under(lease), pytest.raises(LeaseLost):
            database.workflows.save_workflow(owner)

    def test_reading_needs_no_lease(self, database: Database, owner: Workflow) -> None:
        """Reads, and the methods for leases, are not fenced."""
        lost = Lease(lease_key="a", owner="me", epoch=1, until=SOON)
        with database.leases.under(lost):
            assert database.workflows.workflow(owner.dataset_name) == owner
            acquired = database.leases.acquire(["b"], owner="me", at=AT, until=SOON)["b"]
            database.leases.release([database.leases.renew(acquired, LATER)])

    def test_the_inner_lease_counts(self, database: Database, owner: Workflow) -> None:
        """The inner lease counts within its block, the outer one again after it."""
        good = database.leases.acquire(["a"], owner="me", at=AT, until=SOON)["a"]
        lost = evolve(good, epoch=7)
        with database.leases.under(lost):
            with database.leases.under(good):
                owner = database.workflows.save_workflow(owner)
            with pytest.raises(LeaseLost):
                database.workflows.save_workflow(owner)
        database.workflows.save_workflow(owner)

    def test_a_lease_is_that_of_one_thread(self, database: Database, owner: Workflow) -> None:
        """A lease fences only the writes of its thread."""
        with database.leases.under(Lease(lease_key="a", owner="me", epoch=1, until=SOON)):
            answers = together([partial(database.workflows.save_workflow, owner)])
        assert answers == [evolve(owner, version=owner.version + 1)]

    def test_old_leases_are_purged(self, database: Database) -> None:
        """Leases that expired before the moment are deleted, released or not; the others stay."""
        acquired = database.leases.acquire(["a", "b"], owner="me", at=AT, until=SOON)
        database.leases.release([acquired["b"]])
        database.leases.acquire(["c"], owner="me", at=AT, until=LATER)
        database.leases.purge_leases(SOON)
        assert set(database.leases.acquire("abc", owner="you", at=AT, until=SOON)) == {"b"}
        database.leases.purge_leases(SOON + timedelta(microseconds=1))
        again = database.leases.acquire("abc", owner="you", at=AT, until=SOON)
        assert {name: lease.epoch for name, lease in again.items()} == {"a": 1, "b": 1}
