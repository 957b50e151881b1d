"""Why something does not run: every sentence, from facts alone; then over the fakes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from workflow_core.domain.conditions import AirflowState, ConditionType, Observation, conditions
from workflow_core.domain.explain import RunFacts, WorkflowFacts, explain_run, explain_workflow
from workflow_core.domain.run import Retry, RunStatus, Stop, Submission, TaskState
from workflow_core.domain.workflow import Pause, Phase, Removal
from workflow_core.testing.entities import AT, a_run, a_workflow

LATER = AT + timedelta(seconds=30)

LIMITED = "and Airflow limits concurrent runs (max_active_runs)."


def _workflow(**facts: Any) -> WorkflowFacts:
    """Of a workflow that nothing is wrong with, unless ``facts`` say so."""
    about = {name: facts.pop(name) for name in list(facts) if name not in {"conditions", "unhealthy", "next_run"}}
    return WorkflowFacts(workflow=a_workflow(airflow_paused=False, updated_at=AT, **about), **facts)


def _said(facts: WorkflowFacts) -> list[tuple[str, str]]:
    return [(reason.code, reason.message) for reason in explain_workflow(facts)]


@pytest.mark.parametrize(
    ("facts", "code", "message"),
    [
        (
            _workflow(next_run=AT),
            "waiting_for_schedule",
            "Nothing prevents it from running. It fires next at 2026-01-01 10:00:00 UTC.",
        ),
        (_workflow(), "no_next_run", "Nothing prevents it from running, but its schedule never fires again."),
        (
            _workflow(pause=Pause(by="paula", at=AT, reason="tea"), next_run=AT),
            "paused",
            "paula paused it: tea.",
        ),
        (_workflow(pause=Pause(by="paula", at=AT)), "paused", "paula paused it, without a reason."),
        (
            _workflow(phase=Phase.UNREGISTERING, removal=Removal(by="rita", at=AT)),
            "unregistering",
            "rita is unregistering it.",
        ),
        (
            _workflow(unhealthy=["scheduler"], next_run=AT),
            "airflow_unhealthy",
            "Airflow's scheduler is not healthy: it starts no runs.",
        ),
        (
            _workflow(unhealthy=["dag_processor", "triggerer"], next_run=AT),
            "airflow_unhealthy",
            "Airflow's dag processor is not healthy: it loads no changes of DAGs.",
        ),
    ],
)
def test_a_workflow_is_explained(facts: WorkflowFacts, code: str, message: str) -> None:
    """One thing at a time."""
    assert _said(facts) == [(code, message)]


@pytest.mark.parametrize(
    ("about", "seen", "state", "kind", "part"),
    [
        ({"phase": Phase.REGISTERING}, {}, {}, "not_served_yet", "does not serve its DAG yet"),
        ({"phase": Phase.FAILED, "phase_reason": "no operator"}, {}, {}, "not_buildable", "build its DAG: no operator"),
        ({}, {"is_served": False}, {}, "dag_missing", "does not serve its DAG 'iceberg_analytics_daily_clicks'"),
        ({}, {"has_import_errors": True}, {}, "import_error", "has an import error"),
        ({}, {"spec_hash": "0"}, {}, "other_spec_served", "another version of its YAML"),
        ({}, {"is_paused": True}, {}, "paused_in_airflow", "Its DAG was paused in Airflow"),
        (
            {"pause": Pause(by="paula", at=AT), "airflow_paused": True},
            {"is_paused": False},
            {},
            "unpaused_in_airflow",
            "its DAG was unpaused in Airflow",
        ),
        ({}, {"is_stored": False}, {}, "yaml_missing", "gone from the object store"),
        ({}, {"is_stored": True, "stored_hash": "0"}, {}, "yaml_changed", "is not the registered one"),
        (
            {},
            {},
            {"unreachable_since": AT, "reached_at": AT},
            "airflow_unreachable",
            "was last observed at 2026-01-01T10:00:00Z.",
        ),
        ({}, {}, {"unreachable_since": AT}, "airflow_unreachable", "Airflow does not respond and never has."),
    ],
)
def test_a_condition_is_a_reason(
    about: dict[str, Any], seen: dict[str, Any], state: dict[str, Any], kind: str, part: str
) -> None:
    """Each condition is a reason with its message and its time."""
    workflow = a_workflow(**{"airflow_paused": False, **about})
    facts = {"is_served": True, "is_paused": workflow.pause is not None, **seen}
    observation = Observation(workflow_id=workflow.id, listed_at=LATER, since={kind: LATER}, **facts)
    found = conditions(workflow, observation, AirflowState(**state))
    assert [one.type for one in found] == [ConditionType(kind)]
    reasons = explain_workflow(WorkflowFacts(workflow=workflow, conditions=found))
    [reason] = [one for one in reasons if one.code == kind]
    assert part in reason.message
    assert reason.since == found[0].since


@pytest.mark.parametrize(
    ("about", "facts", "expected"),
    [
        ({"status": RunStatus.SUCCESS, "ended_at": LATER}, {}, ("ended", "It has ended, SUCCESS.")),
        (
            {"status": RunStatus.FAILED, "ended_at": LATER, "reason": "no such param"},
            {},
            ("ended", "It has ended, FAILED: no such param."),
        ),
        (
            {"status": RunStatus.STOPPING, "stop": Stop(by="sam", at=AT)},
            {},
            ("stopping", "sam requested its stop; it is stopped when the last of its tasks has ended."),
        ),
        (
            {
                "submission": Submission.RETRYING,
                "retry": Retry(by="rita", at=AT, only_failed=True, tasks=("a",), ended_before=AT),
            },
            {},
            ("retrying", "rita requested its retry; Airflow has not been observed to begin it yet."),
        ),
        (
            {"submission": Submission.WAITING, "backfill_id": "b_1"},
            {},
            ("in_backfill", "It waits for its turn in the backfill b_1."),
        ),
        (
            {"submission": Submission.WAITING},
            {},
            ("on_its_way", "It is on its way to Airflow: it has not been sent yet."),
        ),
        (
            {"submission": Submission.SENDING, "sent_at": AT},
            {},
            ("on_its_way", "It is on its way to Airflow: it was last sent at 2026-01-01 10:00:00 UTC."),
        ),
        ({}, {}, ("queued", "It is queued in Airflow, whose scheduler is about to start it.")),
        (
            {},
            {"running": 1},
            (
                "queued",
                f"It is queued in Airflow: 1 other run is running, {LIMITED}",
            ),
        ),
        (
            {},
            {"running": 16},
            (
                "queued",
                f"It is queued in Airflow: 16 other runs are running, {LIMITED}",
            ),
        ),
        (
            {"logical_date": AT + timedelta(days=1)},
            {},
            ("not_due", "It is queued in Airflow, and its date is in the future: 2026-01-02 10:00:00 UTC."),
        ),
        (
            {"status": RunStatus.RUNNING},
            {},
            ("between_tasks", "It is running; Airflow is about to choose its next task."),
        ),
    ],
)
def test_a_run_is_explained(about: dict[str, Any], facts: dict[str, Any], expected: tuple[str, str]) -> None:
    """By where it stands."""
    workflow = a_workflow(airflow_paused=False)
    run = a_run(workflow, **{"submission": Submission.SUBMITTED, **about})
    found = explain_run(RunFacts(run=run, owner=WorkflowFacts(workflow=workflow), now=LATER, **facts))
    assert [(reason.code, reason.message) for reason in found] == [expected]


@pytest.mark.parametrize(
    ("state", "number", "message"),
    [
        ("running", 1, "Task 'load' runs."),
        ("running", 2, "Task 'load' runs (try 2)."),
        ("restarting", 1, "Task 'load' is being restarted."),
        ("up_for_retry", 1, "Task 'load' has failed and waits for its next try (try 1)."),
        ("up_for_reschedule", 1, "Task 'load' waits for its next check."),
        ("deferred", 1, "Task 'load' waits for an event outside Airflow."),
        ("queued", 1, "Task 'load' waits for a free worker."),
        ("scheduled", 1, "Task 'load' waits for a free slot in its pool."),
    ],
)
def test_a_task_of_a_running_run_is_explained(state: str, number: int, message: str) -> None:
    """Those on their way, and no others."""
    workflow = a_workflow(airflow_paused=False)
    run = a_run(workflow, submission=Submission.SUBMITTED, status=RunStatus.RUNNING)
    tasks = (
        TaskState(task_id="extract", state="success"),
        TaskState(task_id="load", state=state, try_number=number, started_at=AT),
        TaskState(task_id="later", state=None),
    )
    [reason] = explain_run(RunFacts(run=run, owner=WorkflowFacts(workflow=workflow), tasks=tasks, now=LATER))
    assert (reason.code, reason.message, reason.since) == ("task", message, AT)


@pytest.mark.parametrize("submission", [Submission.WAITING, Submission.SUBMITTED])
def test_what_keeps_the_workflow_keeps_the_run(submission: Submission) -> None:
    """The workflow's reasons come first."""
    facts = _workflow(pause=Pause(by="paula", at=AT))
    run = a_run(facts.workflow, submission=submission)
    assert explain_run(RunFacts(run=run, owner=facts, now=LATER))[0].code == "paused"


def test_a_run_of_a_workflow_that_is_gone() -> None:
    """Says so."""
    run = a_run(a_workflow(), submission=Submission.SUBMITTED)
    found = explain_run(RunFacts(run=run, owner=None, now=LATER))
    assert (found[0].code, found[0].message) == ("unregistered", "Its workflow is no longer registered.")
