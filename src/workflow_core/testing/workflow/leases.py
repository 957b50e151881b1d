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
from workflow_core.testing.entities import AT, a_backfill, a_run, a_workflow
from workflow_core.testing.together import together
from workflow_core.testing.workflow.subject import WorkflowSubject

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow
    from workflow_core.ports.workflow import WorkflowPort
    from workflow_core.testing.workflow.subject import BehindWorkflows

SOON: Final = AT + timedelta(seconds=30)
LATER: Final = AT + timedelta(seconds=60)
WORKERS: Final = 8

_SEEN: Final = CodeObject(dataset_name="a.b", etag="1", seen_at=AT, checked_by="x", version=0)

WRITES: Final[dict[str, Callable[[WorkflowPort, Workflow, Run], object]]] = {
    "add_workflow": lambda port, _, __: port.add_workflow(a_workflow("a.other")),
    "save_workflow": lambda port, owner, _: port.save_workflow(owner),
    "revise_workflow": lambda port, owner, _: port.revise_workflow(owner, evolve(first_revision(owner), number=2)),
    "retire_workflow": lambda port, owner, _: port.retire_workflow(owner, force=True),
    "mark_tried": lambda port, owner, _: port.mark_tried([owner], AT),
    "save_code_objects": lambda port, _, __: port.save_code_objects([_SEEN], []),
    "add_run": lambda port, owner, _: port.add_run(a_run(owner, nth=2)),
    "save_run": lambda port, _, run: port.save_run(run),
    "add_backfill": lambda port, owner, _: port.add_backfill(a_backfill(owner), [], dated=1),
    "mark_observed": lambda port, _, __: port.mark_observed(AT),
    "save_observations": lambda port, owner, _: port.save_observations([Observation(workflow_id=owner.id)]),
    "save_airflow_state": lambda port, _, __: port.save_airflow_state(AirflowState(offset=7)),
}


class LeaseRules(WorkflowSubject):
    """What holds for leases."""

    @pytest.fixture
    def owner(self, port: WorkflowPort) -> Workflow:
        """A workflow, kept in ``port``."""
        workflow = a_workflow()
        port.add_workflow(workflow)
        return workflow

    def test_what_is_free_is_leased(self, port: WorkflowPort) -> None:
        """Each subject that was asked for, with the owner and the end that were given; none is asked for in vain."""
        there = SOON.astimezone(timezone(timedelta(hours=9)))
        claimed = port.claim(["b", "a", "a"], owner="me", at=AT, until=there)
        assert claimed == {name: Lease(subject=name, owner="me", epoch=1, until=SOON) for name in "ab"}
        assert port.claim([], owner="me", at=AT, until=SOON) == {}

    def test_what_is_leased_is_not_leased_again(self, port: WorkflowPort) -> None:
        """To nobody, its owner included, until the moment that it ends; the rest of those that were asked for is."""
        port.claim(["a"], owner="me", at=AT, until=SOON)
        just_before = SOON - timedelta(microseconds=1)
        assert set(port.claim(["a", "b"], owner="me", at=just_before, until=LATER)) == {"b"}
        assert set(port.claim(["a"], owner="you", at=just_before, until=LATER)) == set()
        assert set(port.claim(["a"], owner="you", at=SOON, until=LATER)) == {"a"}

    def test_every_claim_has_a_greater_epoch(self, port: WorkflowPort) -> None:
        """After it was released, after it ended, and for the same owner, too."""
        first = port.claim(["a"], owner="me", at=AT, until=SOON)["a"]
        port.release([first])
        second = port.claim(["a"], owner="me", at=AT, until=SOON)["a"]
        third = port.claim(["a"], owner="you", at=SOON, until=LATER)["a"]
        assert first.epoch < second.epoch < third.epoch
        assert (third.owner, third.until) == ("you", LATER)

    def test_one_of_many_gets_it(self, port: WorkflowPort) -> None:
        """Of eight that claim the same subjects at the same time, in any order, each subject goes to exactly one."""
        names = [f"s{number}" for number in range(20)]
        for _ in range(3):
            orders = [names if worker % 2 else names[::-1] for worker in range(WORKERS)]
            answers = together(
                [
                    partial(port.claim, order, owner=f"w{worker}", at=AT, until=SOON)
                    for worker, order in enumerate(orders)
                ]
            )
            claimed = [lease for answer in answers if isinstance(answer, dict) for lease in answer.values()]
            assert sorted(lease.subject for lease in claimed) == sorted(names), answers
            port.release(claimed)

    def test_a_released_one_is_free(self, port: WorkflowPort) -> None:
        """Before its end, and for whoever comes first."""
        port.release(port.claim(["a", "b"], owner="me", at=AT, until=SOON).values())
        port.release([])
        assert set(port.claim(["a", "b"], owner="you", at=AT, until=SOON)) == {"a", "b"}

    def test_only_ones_own_is_released(self, port: WorkflowPort) -> None:
        """Neither that of somebody else nor a later one of one's own ends with an old one."""
        old = port.claim(["a"], owner="me", at=AT, until=AT)["a"]
        port.claim(["a"], owner="me", at=AT, until=SOON)
        port.release([old, evolve(old, epoch=2, owner="you"), evolve(old, subject="b")])
        assert port.claim(["a"], owner="you", at=AT, until=SOON) == {}

    def test_it_can_be_renewed(self, port: WorkflowPort) -> None:
        """It then ends at the new moment, with the epoch that it had."""
        lease = port.claim(["a"], owner="me", at=AT, until=SOON)["a"]
        assert port.renew(lease, LATER) == evolve(lease, until=LATER)
        assert port.claim(["a"], owner="you", at=SOON, until=LATER) == {}
        assert set(port.claim(["a"], owner="you", at=LATER, until=LATER)) == {"a"}

    def test_a_lost_one_cannot_be_renewed(self, port: WorkflowPort) -> None:
        """Nor one that was released: somebody else may have had it since. One that has only ended can."""
        ended = port.claim(["a"], owner="me", at=AT, until=AT)["a"]
        port.renew(ended, AT)
        port.claim(["a"], owner="you", at=AT, until=AT)
        with pytest.raises(LeaseLost, match="'a'"):
            port.renew(ended, SOON)
        released = port.claim(["b"], owner="me", at=AT, until=SOON)["b"]
        port.release([released])
        with pytest.raises(LeaseLost):
            port.renew(released, LATER)
        assert set(port.claim(["a", "b"], owner="you", at=AT, until=LATER)) == {"a", "b"}

    @pytest.mark.parametrize("name", WRITES)
    def test_under_a_lease_everything_is_written(self, port: WorkflowPort, owner: Workflow, name: str) -> None:
        """As without one; also after its end, as long as nobody else has claimed it."""
        run = a_run(owner)
        port.add_run(run)
        lease = port.claim(["a"], owner="me", at=AT, until=AT)["a"]
        with port.under(lease):
            WRITES[name](port, owner, run)

    @pytest.mark.parametrize("name", WRITES)
    def test_under_a_lost_lease_nothing_is_written(
        self, port: WorkflowPort, owner: Workflow, behind: BehindWorkflows, name: str
    ) -> None:
        """Whoever comes back after somebody else has taken over changes nothing, whatever they call."""
        run = a_run(owner)
        port.add_run(run)
        before = behind.workflow_facts(), behind.run_facts()
        lease = port.claim(["a"], owner="me", at=AT, until=AT)["a"]
        port.claim(["a"], owner="you", at=AT, until=SOON)
        with port.under(lease), pytest.raises(LeaseLost, match="'a'"):
            WRITES[name](port, owner, run)
        assert (behind.workflow_facts(), behind.run_facts()) == before
        assert (port.observed_until(), port.observations([owner.id]), port.airflow_state()) == (
            None,
            {},
            AirflowState(),
        )
        WRITES[name](port, owner, run)

    def test_under_a_released_lease_nothing_is_written(self, port: WorkflowPort, owner: Workflow) -> None:
        """Who has released it cannot know who works on it now; not even after it was forgotten."""
        lease = port.claim(["a"], owner="me", at=AT, until=SOON)["a"]
        port.release([lease])
        with port.under(lease), pytest.raises(LeaseLost):
            port.save_workflow(owner)
        port.forget_leases(LATER)
        with port.under(lease), pytest.raises(LeaseLost):
            port.save_workflow(owner)

    def test_reading_needs_no_lease(self, port: WorkflowPort, owner: Workflow) -> None:
        """Nor do the leases themselves."""
        lost = Lease(subject="a", owner="me", epoch=1, until=SOON)
        with port.under(lost):
            assert port.workflow(owner.dataset_name) == owner
            claimed = port.claim(["b"], owner="me", at=AT, until=SOON)["b"]
            port.release([port.renew(claimed, LATER)])

    def test_the_inner_lease_counts(self, port: WorkflowPort, owner: Workflow) -> None:
        """And after its block the outer one again."""
        good = port.claim(["a"], owner="me", at=AT, until=SOON)["a"]
        lost = evolve(good, epoch=7)
        with port.under(lost):
            with port.under(good):
                owner = port.save_workflow(owner)
            with pytest.raises(LeaseLost):
                port.save_workflow(owner)
        port.save_workflow(owner)

    def test_a_lease_is_that_of_one_thread(self, port: WorkflowPort, owner: Workflow) -> None:
        """What others do at the same time is their own business."""
        with port.under(Lease(subject="a", owner="me", epoch=1, until=SOON)):
            answers = together([partial(port.save_workflow, owner)])
        assert answers == [evolve(owner, version=owner.version + 1)]

    def test_old_leases_are_forgotten(self, port: WorkflowPort) -> None:
        """Those that had ended before, released or not; the others stay."""
        claimed = port.claim(["a", "b"], owner="me", at=AT, until=SOON)
        port.release([claimed["b"]])
        port.claim(["c"], owner="me", at=AT, until=LATER)
        port.forget_leases(SOON)
        assert set(port.claim("abc", owner="you", at=AT, until=SOON)) == {"b"}
        port.forget_leases(SOON + timedelta(microseconds=1))
        again = port.claim("abc", owner="you", at=AT, until=SOON)
        assert {name: lease.epoch for name, lease in again.items()} == {"a": 1, "b": 1}
