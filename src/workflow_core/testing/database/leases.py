"""Who works on what: claims, and what is written under them."""

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
    """What holds for leases."""

    @pytest.fixture
    def owner(self, database: Database) -> Workflow:
        """A workflow, kept in ``database``."""
        workflow = a_workflow()
        database.workflows.add_workflow(workflow)
        return workflow

    def test_what_is_free_is_leased(self, database: Database) -> None:
        """Each subject that was asked for, with the owner and the end that were given; none is asked for in vain."""
        there = SOON.astimezone(timezone(timedelta(hours=9)))
        claimed = database.leases.acquire(["b", "a", "a"], owner="me", at=AT, until=there)
        assert claimed == {name: Lease(lease_key=name, owner="me", epoch=1, until=SOON) for name in "ab"}
        assert database.leases.acquire([], owner="me", at=AT, until=SOON) == {}

    def test_what_is_leased_is_not_leased_again(self, database: Database) -> None:
        """To nobody, its owner included, until the moment that it ends; the rest of those that were asked for is."""
        database.leases.acquire(["a"], owner="me", at=AT, until=SOON)
        just_before = SOON - timedelta(microseconds=1)
        assert set(database.leases.acquire(["a", "b"], owner="me", at=just_before, until=LATER)) == {"b"}
        assert set(database.leases.acquire(["a"], owner="you", at=just_before, until=LATER)) == set()
        assert set(database.leases.acquire(["a"], owner="you", at=SOON, until=LATER)) == {"a"}

    def test_every_claim_has_a_greater_epoch(self, database: Database) -> None:
        """After it was released, after it ended, and for the same owner, too."""
        first = database.leases.acquire(["a"], owner="me", at=AT, until=SOON)["a"]
        database.leases.release([first])
        second = database.leases.acquire(["a"], owner="me", at=AT, until=SOON)["a"]
        third = database.leases.acquire(["a"], owner="you", at=SOON, until=LATER)["a"]
        assert first.epoch < second.epoch < third.epoch
        assert (third.owner, third.until) == ("you", LATER)

    def test_one_of_many_gets_it(self, database: Database) -> None:
        """Of eight that claim the same subjects at the same time, in any order, each subject goes to exactly one."""
        names = [f"s{number}" for number in range(20)]
        for _ in range(3):
            orders = [names if worker % 2 else names[::-1] for worker in range(WORKERS)]
            answers = together(
                [
                    partial(database.leases.acquire, order, owner=f"w{worker}", at=AT, until=SOON)
                    for worker, order in enumerate(orders)
                ]
            )
            claimed = [lease for answer in answers if isinstance(answer, dict) for lease in answer.values()]
            assert sorted(lease.lease_key for lease in claimed) == sorted(names), answers
            database.leases.release(claimed)

    def test_a_released_one_is_free(self, database: Database) -> None:
        """Before its end, and for whoever comes first."""
        database.leases.release(database.leases.acquire(["a", "b"], owner="me", at=AT, until=SOON).values())
        database.leases.release([])
        assert set(database.leases.acquire(["a", "b"], owner="you", at=AT, until=SOON)) == {"a", "b"}

    def test_only_ones_own_is_released(self, database: Database) -> None:
        """Neither that of somebody else nor a later one of one's own ends with an old one."""
        old = database.leases.acquire(["a"], owner="me", at=AT, until=AT)["a"]
        database.leases.acquire(["a"], owner="me", at=AT, until=SOON)
        database.leases.release([old, evolve(old, epoch=2, owner="you"), evolve(old, lease_key="b")])
        assert database.leases.acquire(["a"], owner="you", at=AT, until=SOON) == {}

    def test_it_can_be_renewed(self, database: Database) -> None:
        """It then ends at the new moment, with the epoch that it had."""
        lease = database.leases.acquire(["a"], owner="me", at=AT, until=SOON)["a"]
        assert database.leases.renew(lease, LATER) == evolve(lease, until=LATER)
        assert database.leases.acquire(["a"], owner="you", at=SOON, until=LATER) == {}
        assert set(database.leases.acquire(["a"], owner="you", at=LATER, until=LATER)) == {"a"}

    def test_a_lost_one_cannot_be_renewed(self, database: Database) -> None:
        """Nor one that was released: somebody else may have had it since. One that has only ended can."""
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
        """As without one; also after its end, as long as nobody else has claimed it."""
        run = a_run(owner)
        database.workflows.add_run(run)
        lease = database.leases.acquire(["a"], owner="me", at=AT, until=AT)["a"]
        with database.leases.under(lease):
            WRITES[name](database, owner, run)

    @pytest.mark.parametrize("name", WRITES)
    def test_under_a_lost_lease_nothing_is_written(
        self, database: Database, owner: Workflow, behind: DatabaseFacts, name: str
    ) -> None:
        """Whoever comes back after somebody else has taken over changes nothing, whatever they call."""
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
        """Who has released it cannot know who works on it now; not even after it was forgotten."""
        lease = database.leases.acquire(["a"], owner="me", at=AT, until=SOON)["a"]
        database.leases.release([lease])
        with database.leases.under(lease), pytest.raises(LeaseLost):
            database.workflows.save_workflow(owner)
        database.leases.purge_leases(LATER)
        with database.leases.under(lease), pytest.raises(LeaseLost):
            database.workflows.save_workflow(owner)

    def test_reading_needs_no_lease(self, database: Database, owner: Workflow) -> None:
        """Nor do the leases themselves."""
        lost = Lease(lease_key="a", owner="me", epoch=1, until=SOON)
        with database.leases.under(lost):
            assert database.workflows.workflow(owner.dataset_name) == owner
            claimed = database.leases.acquire(["b"], owner="me", at=AT, until=SOON)["b"]
            database.leases.release([database.leases.renew(claimed, LATER)])

    def test_the_inner_lease_counts(self, database: Database, owner: Workflow) -> None:
        """And after its block the outer one again."""
        good = database.leases.acquire(["a"], owner="me", at=AT, until=SOON)["a"]
        lost = evolve(good, epoch=7)
        with database.leases.under(lost):
            with database.leases.under(good):
                owner = database.workflows.save_workflow(owner)
            with pytest.raises(LeaseLost):
                database.workflows.save_workflow(owner)
        database.workflows.save_workflow(owner)

    def test_a_lease_is_that_of_one_thread(self, database: Database, owner: Workflow) -> None:
        """What others do at the same time is their own business."""
        with database.leases.under(Lease(lease_key="a", owner="me", epoch=1, until=SOON)):
            answers = together([partial(database.workflows.save_workflow, owner)])
        assert answers == [evolve(owner, version=owner.version + 1)]

    def test_old_leases_are_forgotten(self, database: Database) -> None:
        """Those that had ended before, released or not; the others stay."""
        claimed = database.leases.acquire(["a", "b"], owner="me", at=AT, until=SOON)
        database.leases.release([claimed["b"]])
        database.leases.acquire(["c"], owner="me", at=AT, until=LATER)
        database.leases.purge_leases(SOON)
        assert set(database.leases.acquire("abc", owner="you", at=AT, until=SOON)) == {"b"}
        database.leases.purge_leases(SOON + timedelta(microseconds=1))
        again = database.leases.acquire("abc", owner="you", at=AT, until=SOON)
        assert {name: lease.epoch for name, lease in again.items()} == {"a": 1, "b": 1}
