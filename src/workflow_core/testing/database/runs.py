"""The rules for single runs."""

from __future__ import annotations

import json
import sys
from datetime import date, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_core.domain.names import uuid7
from workflow_core.domain.run import Progress, Retry, Run, RunStatus, RunType, Stop, Submission
from workflow_core.domain.workflow import Phase
from workflow_core.errors import ConcurrentUpdate, RunAlreadyExists, WorkflowNotFound
from workflow_core.testing.database.subject import DatabaseSubject
from workflow_core.testing.entities import AT, a_run, a_workflow
from workflow_core.testing.together import together

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.domain.workflow import Workflow
    from workflow_core.ports.database import Database
    from workflow_core.testing.database.subject import DatabaseFacts

WRITERS: Final = 8

_PARAMS: Final[list[dict[str, Any]]] = [
    {},
    {"date": "2026-01-01", "n": 1, "x": 1.5, "yes": True, "no": False, "nothing": None},
    {"nested": {"list": [1, [2, {"three": [[]]}], {}], "empty": {}}},
    {"unicode": "ünï 数据 🚀 \u2028 \x7f", "日本": "'\"\\/\b\f\n\r\t\u0001"},
    {"": "an empty key", "a.b": 1, "$ne": 1, "%s": "%(x)s", ":name": "::text"},
    {"ints": [0, -1, 2**31, -(2**63), 2**63 - 1, 2**64, 10**40]},
    {"floats": [0.1, 1.0, -2.0, 1e16, 1e22, 1.5e300, 1e-7, 5e-324, sys.float_info.max, 123456789.123456789]},
    {"one and one": [1, 1.0, True, "1"]},
    {"long": "x" * 100_000},
]

_JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x or 0.0)  # no negative zero, see below
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("aZ_ü"), inner, max_size=4),
    max_leaves=12,
)


class RunRules(DatabaseSubject):
    """The rules for a single run."""

    @pytest.fixture
    def owner(self, database: Database) -> Workflow:
        """The workflow that the runs belong to, stored in ``database``."""
        workflow = a_workflow()
        database.workflows.add_workflow(workflow)
        return workflow

    def test_an_added_run_is_read_by_id(self, database: Database, owner: Workflow) -> None:
        """A stored run is returned with every field unchanged."""
        run = a_run(
            owner,
            airflow_run_id="scheduled__2026-01-01T06:00:00+00:00",
            run_type=RunType.SCHEDULED,
            status=RunStatus.FAILED,
            submission=Submission.REFUSED,
            triggered_by="scheduler",
            started_at=AT + timedelta(microseconds=1),
            ended_at=AT + timedelta(seconds=45, microseconds=2),
            logical_date=AT - timedelta(days=1),
            run_date=date(2025, 12, 31),
            backfill_id="a.b_backfill_20251231_20260101",
            sent_at=AT + timedelta(microseconds=3),
            stop=Stop(by="sam", at=AT, reason="no\nmore: 数据", asked_at=AT + timedelta(microseconds=4)),
            retry=Retry(by="rita", at=AT, only_failed=True, tasks=("a", "b"), ended_before=AT, number=3),
            progress=Progress(total_tasks=5, completed_tasks=3, failed_tasks=1, current_task="aggregate_clicks"),
            observed_at=AT + timedelta(minutes=1),
            reason="no\nsuch thing: 数据",
            version=7,
        )
        database.workflows.add_run(run)
        assert database.workflows.run(run.run_id) == run

    def test_what_is_not_known_comes_back_as_none(self, database: Database, owner: Workflow) -> None:
        """A fresh run has no end, no logical date, no backfill, no progress, no observation, no stop and no reason."""
        database.workflows.add_run(a_run(owner))
        found = _read(database, owner)
        unknown = (
            found.ended_at,
            found.logical_date,
            found.backfill_id,
            found.progress,
            found.sent_at,
            found.observed_at,
        )
        assert (*unknown, found.stop, found.reason) == (None,) * 8
        assert found == a_run(owner)

    def test_a_progress_without_a_current_task(self, database: Database, owner: Workflow) -> None:
        """Progress that names no task is not the same as none."""
        progress = Progress(total_tasks=0, completed_tasks=0, failed_tasks=0, current_task=None)
        database.workflows.add_run(a_run(owner, progress=progress))
        assert _read(database, owner).progress == progress

    def test_what_is_kept_of_a_run_is_what_was_added(
        self, database: Database, owner: Workflow, behind: DatabaseFacts
    ) -> None:
        """The store has one run with the given facts."""
        database.workflows.add_run(a_run(owner, airflow_run_id="x", started_at=AT + timedelta(microseconds=1)))
        assert behind.run_facts() == {
            a_run(owner).run_id: {
                "airflow_run_id": "x",
                "status": "PENDING",
                "params": {"date": "2026-01-01"},
                "version": 1,
                "started_at": "2026-01-01T10:00:00.123457+00:00",
            }
        }

    def test_times_of_a_run_come_back_in_utc(self, database: Database, owner: Workflow) -> None:
        """A time in another zone is returned as the same moment in UTC."""
        there = AT.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
        names = ["accepted_at", "started_at", "ended_at", "logical_date", "sent_at", "observed_at"]
        changes: dict[str, Any] = dict.fromkeys(names, there)
        retry = Retry(by="rita", at=there, only_failed=False, tasks=(), ended_before=there)
        database.workflows.add_run(a_run(owner, stop=Stop(by="sam", at=there, asked_at=there), retry=retry, **changes))
        found = _read(database, owner)
        assert found.stop is not None
        assert found.retry is not None
        moments = [*(getattr(found, name) for name in names), found.stop.at, found.stop.asked_at]
        moments += [found.retry.at, found.retry.ended_before]
        assert [moment.isoformat() for moment in moments] == ["2026-01-01T10:00:00.123456+00:00"] * 10

    @pytest.mark.parametrize("params", _PARAMS, ids=[next(iter(params), "none") or "empty" for params in _PARAMS])
    def test_params_come_back_exactly(
        self, database: Database, owner: Workflow, behind: DatabaseFacts, params: dict[str, Any]
    ) -> None:
        """JSON of every kind keeps its types, and is stored as JSON."""
        database.workflows.add_run(a_run(owner, params=params))
        assert _text(_read(database, owner).params) == _text(params)
        assert _text(behind.run_facts()[a_run(owner).run_id]["params"]) == _text(params)

    def test_any_json_comes_back(self, database: Database, owner: Workflow) -> None:
        """Every JSON value is returned unchanged, except for the sign of a zero, which PostgreSQL's decimals do not have."""

        @settings(max_examples=60, deadline=None, database=None)
        @given(params=st.dictionaries(st.text("aZ_ü"), _JSON, max_size=4))
        def is_periodic(params: dict[str, Any]) -> None:
            run = a_run(owner, run_id=f"json_{uuid7(AT)}", params=params)  # the port is the same for all examples
            database.workflows.add_run(run)
            found = database.workflows.run(run.run_id)
            assert found is not None
            assert _text(found.params) == _text(params)

        is_periodic()

    def test_params_given_are_not_shared(self, database: Database, owner: Workflow) -> None:
        """A later change of the caller's object does not change the stored params."""
        params: dict[str, Any] = {"list": [1]}
        database.workflows.add_run(a_run(owner, params=params))
        params["list"].append(2)
        assert _read(database, owner).params == {"list": [1]}

    def test_params_read_are_not_shared(self, database: Database, owner: Workflow) -> None:
        """A change of one reader's copy is not visible to another reader."""
        database.workflows.add_run(a_run(owner, params={"list": [1]}))
        _read(database, owner).params["list"].append(2)
        assert _read(database, owner).params == {"list": [1]}

    def test_an_unknown_run_is_none(self, database: Database, owner: Workflow) -> None:
        """An unknown id returns None; Airflow's run id is not the id of the run."""
        database.workflows.add_run(a_run(owner, airflow_run_id="airflow's"))
        assert database.workflows.run("no_such_run") is None
        assert database.workflows.run("airflow's") is None

    def test_a_taken_run_id_is_refused(self, database: Database, owner: Workflow) -> None:
        """A second run with a taken id is refused, also of another workflow, and the first run is unchanged."""
        other = a_workflow("a.other")
        database.workflows.add_workflow(other)
        database.workflows.add_run(a_run(owner, run_id="r1"))
        for workflow in (owner, other):
            with pytest.raises(RunAlreadyExists, match="'r1'"):
                database.workflows.add_run(a_run(workflow, run_id="r1", airflow_run_id="x"))
        assert database.workflows.run("r1") == a_run(owner, run_id="r1")

    def test_a_taken_airflow_id_is_refused(self, database: Database, owner: Workflow) -> None:
        """A second run for one run in Airflow is refused; the error names the first."""
        database.workflows.add_run(a_run(owner, run_id="r1", airflow_run_id="scheduled__1"))
        with pytest.raises(RunAlreadyExists, match="'r1'"):
            database.workflows.add_run(a_run(owner, run_id="r2", airflow_run_id="scheduled__1"))
        assert database.workflows.run("r2") is None

    def test_an_airflow_id_is_taken_within_its_dag_only(self, database: Database, owner: Workflow) -> None:
        """Runs of two DAGs may have the same id in Airflow, as scheduled runs do."""
        other = a_workflow("a.other")
        database.workflows.add_workflow(other)
        database.workflows.add_run(a_run(owner, airflow_run_id="scheduled__1"))
        database.workflows.add_run(a_run(other, airflow_run_id="scheduled__1"))
        assert database.workflows.run(a_run(other).run_id) is not None

    def test_a_run_needs_its_workflow(self, database: Database, owner: Workflow, behind: DatabaseFacts) -> None:
        """A run of a workflow that does not exist is refused, also under the name of an existing one."""
        del owner
        with pytest.raises(WorkflowNotFound, match=r"'a\.b'"):
            database.workflows.add_run(a_run(a_workflow("a.b")))
        with pytest.raises(WorkflowNotFound):
            database.workflows.add_run(a_run(a_workflow()))
        assert behind.run_facts() == {}

    def test_a_run_is_added_to_the_version_it_was_decided_on(
        self, database: Database, owner: Workflow, behind: DatabaseFacts
    ) -> None:
        """A run with a workflow version is added only while that version is stored."""
        database.workflows.add_run(a_run(owner, nth=1), of_version=owner.version)
        saved = database.workflows.save_workflow(owner)
        for stale in (owner.version, saved.version + 1):
            with pytest.raises(ConcurrentUpdate, match=f"'{owner.dataset_name}'"):
                database.workflows.add_run(a_run(owner, nth=2), of_version=stale)
        database.workflows.add_run(a_run(owner, nth=3), of_version=saved.version)
        database.workflows.add_run(a_run(owner, nth=4))
        assert sorted(behind.run_facts()) == sorted(a_run(owner, nth=nth).run_id for nth in (1, 3, 4))

    def test_a_version_that_takes_no_run_takes_none(
        self, database: Database, owner: Workflow, behind: DatabaseFacts
    ) -> None:
        """A workflow that has left or never existed accepts no run, even with the stored version."""
        gone = database.workflows.save_workflow(evolve(owner, phase=Phase.GONE))
        for workflow in (gone, a_workflow("a.b")):
            with pytest.raises(ConcurrentUpdate):
                database.workflows.add_run(a_run(workflow), of_version=workflow.version)
        assert behind.run_facts() == {}

    def test_one_of_many_adders_of_a_run_id_succeeds(
        self, database: Database, owner: Workflow, behind: DatabaseFacts
    ) -> None:
        """Of eight callers that add one run id at the same time, exactly one succeeds, and its run is stored."""
        candidates = [a_run(owner, run_id="r", params={"n": n}) for n in range(WRITERS)]
        answers = together([partial(database.workflows.add_run, one) for one in candidates])
        assert [type(answer) for answer in answers if answer is not None] == [RunAlreadyExists] * (WRITERS - 1)
        assert behind.run_facts()["r"]["params"] == {"n": answers.index(None)}

    def test_one_of_many_adopters_of_an_airflow_run_succeeds(
        self, database: Database, owner: Workflow, behind: DatabaseFacts
    ) -> None:
        """Of eight callers that add one run in Airflow under different ids at the same time, exactly one succeeds."""
        candidates = [a_run(owner, nth=n, airflow_run_id="scheduled__1") for n in range(1, WRITERS + 1)]
        answers = together([partial(database.workflows.add_run, one) for one in candidates])
        assert [type(answer) for answer in answers if answer is not None] == [RunAlreadyExists] * (WRITERS - 1)
        assert list(behind.run_facts()) == [candidates[answers.index(None)].run_id]

    def test_many_adders_of_different_runs_all_succeed(
        self, database: Database, owner: Workflow, behind: DatabaseFacts
    ) -> None:
        """Concurrent writers of different runs all succeed, also with concurrent readers."""
        adders: list[Callable[[], object]] = [
            partial(database.workflows.add_run, a_run(owner, nth=n)) for n in range(1, WRITERS + 1)
        ]
        readers: list[Callable[[], object]] = [database.observations.observed_until] * WRITERS
        assert together([*adders, *readers]) == [None] * 2 * WRITERS
        assert len(behind.run_facts()) == WRITERS

    def test_a_saved_run_is_replaced(self, database: Database, owner: Workflow, behind: DatabaseFacts) -> None:
        """A save replaces every field but ids and names, and returns the next version, which later reads return."""
        database.workflows.add_run(a_run(owner))
        other = evolve(
            a_run(owner),
            run_type=RunType.BACKFILL,
            status=RunStatus.SUCCESS,
            submission=Submission.SUBMITTED,
            triggered_by="other@example.com",
            params={"other": [1]},
            accepted_at=AT + timedelta(1),
            started_at=AT + timedelta(2),
            ended_at=AT + timedelta(3),
            logical_date=AT + timedelta(4),
            run_date=date(2026, 1, 5),
            backfill_id="b",
            sent_at=AT + timedelta(6),
            stop=Stop(by="sam", at=AT),
            retry=Retry(by="rita", at=AT, only_failed=True, tasks=("a",), ended_before=None),
            progress=Progress(total_tasks=1, completed_tasks=1, failed_tasks=0, current_task=None),
            observed_at=AT + timedelta(5),
            reason="because",
        )
        saved = database.workflows.save_run(other)
        assert saved == evolve(other, version=2)
        assert _read(database, owner) == saved
        assert behind.run_facts()[other.run_id]["status"] == "SUCCESS"

    def test_a_save_of_a_run_can_take_away(self, database: Database, owner: Workflow) -> None:
        """A save can clear fields: a run that was cleared in Airflow has no end."""
        progress = Progress(total_tasks=1, completed_tasks=1, failed_tasks=0, current_task=None)
        known: dict[str, Any] = {
            "ended_at": AT,
            "logical_date": AT,
            "observed_at": AT,
            "sent_at": AT,
            "stop": Stop(by="sam", at=AT),
            "retry": Retry(by="rita", at=AT, only_failed=True, tasks=("a",), ended_before=AT),
        }
        database.workflows.add_run(a_run(owner, progress=progress, reason="because", **known))
        database.workflows.save_run(a_run(owner))
        assert _read(database, owner) == a_run(owner, version=2)

    def test_a_save_changes_one_run(self, database: Database, owner: Workflow) -> None:
        """Other runs are unchanged."""
        database.workflows.add_run(a_run(owner))
        database.workflows.add_run(a_run(owner, nth=2))
        database.workflows.save_run(a_run(owner, status=RunStatus.RUNNING))
        assert database.workflows.run(a_run(owner, nth=2).run_id) == a_run(owner, nth=2)

    def test_a_save_of_an_old_version_of_a_run_is_refused(self, database: Database, owner: Workflow) -> None:
        """A save based on an old version is refused and changes nothing."""
        database.workflows.add_run(a_run(owner))
        saved = database.workflows.save_run(a_run(owner, reason="first"))
        with pytest.raises(ConcurrentUpdate, match=saved.run_id):
            database.workflows.save_run(a_run(owner, reason="second"))
        assert _read(database, owner) == saved

    def test_a_save_of_a_future_version_of_a_run_is_refused(self, database: Database, owner: Workflow) -> None:
        """The version must be the stored one, not merely as high."""
        database.workflows.add_run(a_run(owner))
        with pytest.raises(ConcurrentUpdate):
            database.workflows.save_run(a_run(owner, version=2))

    def test_one_of_many_savers_of_a_run_succeeds(self, database: Database, owner: Workflow) -> None:
        """Of eight callers that read one version and save at the same time, exactly one succeeds, and its values are stored."""
        database.workflows.add_run(a_run(owner))
        changed = [a_run(owner, reason=f"writer {n}") for n in range(WRITERS)]
        answers = together([partial(database.workflows.save_run, one) for one in changed])
        [saved] = [answer for answer in answers if isinstance(answer, Run)]
        assert [type(answer) for answer in answers].count(ConcurrentUpdate) == WRITERS - 1
        assert _read(database, owner) == saved

    def test_a_run_that_was_never_added_cannot_be_saved(
        self, database: Database, owner: Workflow, behind: DatabaseFacts
    ) -> None:
        """A save does not add."""
        with pytest.raises(ConcurrentUpdate):
            database.workflows.save_run(a_run(owner))
        assert behind.run_facts() == {}

    @pytest.mark.parametrize("name", ["airflow_run_id", "dataset_name", "dag_id", "workflow_id"])
    def test_a_save_does_not_move_a_run(self, database: Database, owner: Workflow, name: str) -> None:
        """A run with other ids or names is refused, and the stored run is unchanged."""
        database.workflows.add_run(a_run(owner))
        change: dict[str, Any] = {name: uuid7(AT) if name == "workflow_id" else "a.other"}
        with pytest.raises(ConcurrentUpdate):
            database.workflows.save_run(evolve(a_run(owner), **change))
        assert _read(database, owner) == a_run(owner)


def _text(value: object) -> str:
    """Unlike ``==``, distinguishes 1 from 1.0 and from True."""
    return json.dumps(value, sort_keys=True)


def _read(database: Database, owner: Workflow) -> Run:
    found = database.workflows.run(a_run(owner).run_id)
    assert found is not None
    return found
