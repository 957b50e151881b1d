"""The rules for single workflows."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from workflow_core.domain.schedule import Schedule
from workflow_core.domain.workflow import Pause, Phase, SourceType, Workflow
from workflow_core.errors import ConcurrentUpdate, WorkflowAlreadyExists
from workflow_core.testing.database.subject import DatabaseSubject
from workflow_core.testing.entities import AT, NAME, a_workflow
from workflow_core.testing.together import together

if TYPE_CHECKING:
    from workflow_core.ports.database import Database
    from workflow_core.testing.database.subject import DatabaseFacts

WRITERS = 8

_ODD_YAML = """\
version: v1
name: daily_clicks
params:
  note: {default: {default: [1, 2.5, null, true, "ünï 数据 🚀"]}}
  far: {default: 9223372036854775808}
tasks: []
"""


class WorkflowRules(DatabaseSubject):
    """The rules for a single workflow."""

    def test_an_added_workflow_is_read_by_name(self, database: Database) -> None:
        """A stored workflow is returned with every field unchanged."""
        workflow = a_workflow(
            source_type=SourceType.CODE,
            schedule=Schedule(cron="*/5 1-3 * * mon", timezone="Asia/Seoul"),
            registered_by="ci@example.com",
            registered_at=AT - timedelta(days=1, microseconds=1),
            pause=Pause(by="paula", at=AT + timedelta(microseconds=7), reason="maintenance: 数据"),
            phase=Phase.FAILED,
            phase_reason="no such operator\nline 2",
            airflow_paused=True,
        )
        database.workflows.add_workflow(workflow)
        assert database.workflows.workflow(NAME) == workflow

    @pytest.mark.parametrize("airflow_paused", [None, False, True])
    def test_what_may_be_missing_comes_back_missing(
        self,
        database: Database,
        airflow_paused: bool | None,  # noqa: FBT001 - a parameter of the test
    ) -> None:
        """None stays None, and False stays False."""
        workflow = a_workflow(airflow_paused=airflow_paused, pause=Pause(by="paula", at=AT))
        database.workflows.add_workflow(workflow)
        found = database.workflows.workflow(NAME)
        assert found is not None
        assert (found.airflow_paused, found.phase_reason) == (airflow_paused, None)
        assert found.pause == Pause(by="paula", at=AT, reason=None)

    def test_the_spec_and_its_yaml_come_back_exactly(self, database: Database) -> None:
        """Nested defaults, large numbers and every script survive, and the YAML to the byte."""
        workflow = a_workflow(yaml=_ODD_YAML)
        database.workflows.add_workflow(workflow)
        found = database.workflows.workflow(NAME)
        assert found is not None
        assert _text(found.spec.model_dump(mode="json")) == _text(workflow.spec.model_dump(mode="json"))
        assert (found.spec, found.yaml, found.spec_hash) == (workflow.spec, _ODD_YAML, workflow.spec_hash)

    def test_what_is_kept_is_what_was_added(self, database: Database, behind: DatabaseFacts) -> None:
        """The store has one workflow with the given facts."""
        workflow = a_workflow(pause=Pause(by="paula", at=AT))
        database.workflows.add_workflow(workflow)
        assert behind.workflow_facts() == {
            NAME: {
                "id": str(workflow.id),
                "dag_id": "iceberg_analytics_daily_clicks",
                "owner": "data@example.com",
                "phase": "served",
                "paused_by": "paula",
                "version": 1,
                "updated_at": "2026-01-01T10:00:00.123456+00:00",
            }
        }

    def test_times_come_back_in_utc(self, database: Database) -> None:
        """A time in another zone is returned as the same moment in UTC."""
        seoul = timezone(timedelta(hours=9))
        pause = Pause(by="paula", at=AT.astimezone(seoul))
        database.workflows.add_workflow(
            a_workflow(updated_at=AT.astimezone(seoul), registered_at=AT.astimezone(seoul), pause=pause)
        )
        found = database.workflows.workflow(NAME)
        assert found is not None
        assert found.pause is not None
        times = [found.updated_at, found.registered_at, found.pause.at]
        assert [time.isoformat() for time in times] == ["2026-01-01T10:00:00.123456+00:00"] * 3

    def test_an_unknown_name_is_none(self, database: Database) -> None:
        """An unknown name returns None, also if it differs only in case."""
        database.workflows.add_workflow(a_workflow())
        assert database.workflows.workflow("no.such") is None
        assert database.workflows.workflow(NAME.upper()) is None

    def test_a_workflow_is_read_by_its_dag_id(self, database: Database) -> None:
        """A DAG id returns the workflow that holds it; an unknown one returns None."""
        workflow = a_workflow("a.b-c")
        database.workflows.add_workflow(a_workflow("a.b"))
        database.workflows.add_workflow(workflow)
        assert database.workflows.workflow_by_dag("a_b_c") == workflow
        assert database.workflows.workflow_by_dag("a.b-c") is None

    def test_a_taken_name_is_refused(self, database: Database, behind: DatabaseFacts) -> None:
        """A second workflow with a taken name is refused, and the first is unchanged."""
        first = a_workflow()
        database.workflows.add_workflow(first)
        with pytest.raises(WorkflowAlreadyExists, match=rf"^Workflow '{NAME}' already exists\."):
            database.workflows.add_workflow(a_workflow(owner="other@example.com"))
        assert database.workflows.workflow(NAME) == first
        assert len(behind.workflow_facts()) == 1

    def test_a_taken_dag_id_is_refused(self, database: Database) -> None:
        """A name that maps to a held DAG id is refused; the error names the holder and the DAG id."""
        database.workflows.add_workflow(a_workflow("a.b_c"))
        with pytest.raises(WorkflowAlreadyExists, match=r"'a\.b-c'.*'a_b_c'.*'a\.b_c'"):
            database.workflows.add_workflow(a_workflow("a.b-c"))
        assert database.workflows.workflow("a.b-c") is None

    def test_one_of_many_adders_of_a_name_succeeds(self, database: Database, behind: DatabaseFacts) -> None:
        """Of eight callers that add one name at the same time, exactly one succeeds, and its workflow is stored."""
        candidates = [a_workflow() for _ in range(WRITERS)]
        answers = together([partial(database.workflows.add_workflow, one) for one in candidates])
        assert [type(answer) for answer in answers if answer is not None] == [WorkflowAlreadyExists] * (WRITERS - 1)
        winner = candidates[answers.index(None)]
        assert behind.workflow_facts()[NAME]["id"] == str(winner.id)

    def test_one_of_many_adders_of_a_dag_id_succeeds(self, database: Database, behind: DatabaseFacts) -> None:
        """Of eight concurrent workflows with one DAG id exactly one is stored, and the errors name it."""
        names = ["a.b.c.d", "a-b.c.d", "a_b.c.d", "a.b-c.d", "a.b_c.d", "a.b.c-d", "a.b.c_d", "a.b_c_d"]
        candidates = [a_workflow(name) for name in names]
        answers = together([partial(database.workflows.add_workflow, one) for one in candidates])
        [winner] = behind.workflow_facts()
        assert [one.dataset_name for one, answer in zip(candidates, answers, strict=True) if answer is None] == [winner]
        refusals = [answer for answer in answers if answer is not None]
        assert all(isinstance(answer, WorkflowAlreadyExists) and repr(winner) in str(answer) for answer in refusals)

    def test_many_adders_of_different_names_all_succeed(self, database: Database, behind: DatabaseFacts) -> None:
        """Concurrent writers of different workflows all succeed."""
        answers = together([partial(database.workflows.add_workflow, a_workflow(f"a.b{n}")) for n in range(WRITERS)])
        assert answers == [None] * WRITERS
        assert len(behind.workflow_facts()) == WRITERS

    def test_a_saved_workflow_is_replaced(self, database: Database, behind: DatabaseFacts) -> None:
        """A save replaces every field but id and name, and returns the next version, which later reads return."""
        database.workflows.add_workflow(a_workflow())
        stored = database.workflows.workflow(NAME)
        assert stored is not None
        other = a_workflow(
            yaml=_ODD_YAML,
            id=stored.id,
            source_type=SourceType.CODE,
            s3_path="s3://elsewhere/x.yaml",
            schedule=Schedule(cron="1 2 3 4 5"),
            owner="new@example.com",
            registered_by="ci",
            registered_at=AT + timedelta(1),
            updated_at=AT + timedelta(2),
            pause=Pause(by="paula", at=AT, reason="why"),
            phase=Phase.FAILED,
            phase_reason="because",
            airflow_paused=False,
        )
        saved = database.workflows.save_workflow(other)
        assert saved == evolve(other, version=2)
        assert database.workflows.workflow(NAME) == saved
        assert behind.workflow_facts()[NAME]["owner"] == "new@example.com"

    def test_a_save_can_take_away(self, database: Database) -> None:
        """A save can clear fields: the pause, the reason, the confirmed state."""
        pause = Pause(by="paula", at=AT, reason="why")
        database.workflows.add_workflow(
            a_workflow(pause=pause, phase=Phase.FAILED, phase_reason="because", airflow_paused=True)
        )
        stored = database.workflows.workflow(NAME)
        assert stored is not None
        database.workflows.save_workflow(
            evolve(stored, pause=None, phase=Phase.REGISTERING, phase_reason=None, airflow_paused=None)
        )
        found = database.workflows.workflow(NAME)
        assert found is not None
        assert (found.pause, found.phase_reason, found.airflow_paused) == (None, None, None)

    def test_a_save_changes_one_workflow(self, database: Database) -> None:
        """Other workflows are unchanged."""
        other = a_workflow("a.other")
        database.workflows.add_workflow(other)
        database.workflows.add_workflow(a_workflow())
        database.workflows.save_workflow(evolve(_read(database), owner="new@example.com"))
        assert database.workflows.workflow("a.other") == other

    def test_a_save_of_an_old_version_is_refused(self, database: Database) -> None:
        """A save based on an old version is refused and changes nothing."""
        database.workflows.add_workflow(a_workflow())
        old = _read(database)
        saved = database.workflows.save_workflow(evolve(old, owner="first@example.com"))
        with pytest.raises(ConcurrentUpdate, match=NAME):
            database.workflows.save_workflow(evolve(old, owner="second@example.com"))
        assert database.workflows.workflow(NAME) == saved

    def test_a_save_of_a_future_version_is_refused(self, database: Database) -> None:
        """The version must be the stored one, not merely as high."""
        database.workflows.add_workflow(a_workflow())
        with pytest.raises(ConcurrentUpdate):
            database.workflows.save_workflow(evolve(_read(database), version=2))

    def test_a_saved_workflow_can_be_saved_again(self, database: Database) -> None:
        """The returned workflow can be saved again."""
        database.workflows.add_workflow(a_workflow())
        saved = database.workflows.save_workflow(database.workflows.save_workflow(_read(database)))
        assert saved.version == 3
        assert database.workflows.workflow(NAME) == saved

    def test_one_of_many_savers_succeeds(self, database: Database) -> None:
        """Of eight callers that read one version and save at the same time, exactly one succeeds, and its values are stored."""
        database.workflows.add_workflow(a_workflow())
        old = _read(database)
        changed = [evolve(old, owner=f"writer{n}@example.com") for n in range(WRITERS)]
        answers = together([partial(database.workflows.save_workflow, one) for one in changed])
        [saved] = [answer for answer in answers if isinstance(answer, Workflow)]
        assert [type(answer) for answer in answers].count(ConcurrentUpdate) == WRITERS - 1
        assert database.workflows.workflow(NAME) == saved

    def test_a_workflow_that_was_never_added_cannot_be_saved(self, database: Database, behind: DatabaseFacts) -> None:
        """A save does not add."""
        with pytest.raises(ConcurrentUpdate):
            database.workflows.save_workflow(a_workflow())
        assert behind.workflow_facts() == {}

    def test_a_save_does_not_rename(self, database: Database, behind: DatabaseFacts) -> None:
        """A save under another name is refused, and the stored workflow keeps its name."""
        database.workflows.add_workflow(a_workflow())
        with pytest.raises(ConcurrentUpdate):
            database.workflows.save_workflow(evolve(_read(database), dataset_name="a.renamed"))
        assert list(behind.workflow_facts()) == [NAME]

    def test_a_workflow_read_twice_is_not_shared(self, database: Database) -> None:
        """A change of one reader's copy is not visible to another reader."""
        database.workflows.add_workflow(a_workflow())
        _read(database).spec.tasks.clear()
        assert len(_read(database).spec.tasks) == 2


def _text(value: object) -> str:
    """Unlike ``==``, distinguishes 1 from 1.0 and from True."""
    return json.dumps(value, sort_keys=True)


def _read(database: Database) -> Workflow:
    found = database.workflows.workflow(NAME)
    assert found is not None
    return found
