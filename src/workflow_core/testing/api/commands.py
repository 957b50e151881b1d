"""Rules for commands, and for the queries that show their results."""

from __future__ import annotations

from typing import Any, Final

import pytest

from workflow_core.api import (
    DiffFilters,
    PauseRequest,
    RegisterRequest,
    RetryRequest,
    RevisionFilters,
    RunRequest,
    ScheduleModel,
    StopRequest,
    UnregisterFilters,
)
from workflow_core.domain.conditions import ConditionType, Severity
from workflow_core.domain.run import RunStatus
from workflow_core.domain.workflow import WorkflowStatus
from workflow_core.fakes.airflow import Effect
from workflow_core.testing.api.subject import AT, CALLER, NAME, YAML, ApiSubject, Twins, a_registration

PARAMS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"date": "2026-01-02"},
    {"region": '数据 🙂 \u2028 " \\ / % + &', "limit": 20},
    {"note": "\x01\x7f\x85\u200b"},
    {"note": "a" * 10_000},
)
"""Valid params of the workflow of this suite."""


class CommandRules(ApiSubject):
    """Commands and their answers."""

    def test_a_registration_returns_its_caller_and_time(self, twins: Twins) -> None:
        """The answer contains the caller, and the time in seconds."""
        answer = twins.answer(lambda api: api.register(a_registration()))
        assert (answer.dataset_name, answer.status) == (NAME, WorkflowStatus.ACTIVE)
        assert (answer.registered_by, answer.registered_at) == (CALLER.name, AT.replace(microsecond=0))

    def test_the_fields_beside_the_yaml_are_stored(self, twins: Twins) -> None:
        """Schedule, owner, team and description of the request replace those of the YAML."""
        request = RegisterRequest(
            dataset_name=NAME,
            yaml_content=YAML.format(name=NAME),
            schedule=ScheduleModel(cron="5 8 * * 1", timezone="Asia/Tokyo"),
            owner="ö@example.com",
            team="@ü",
            description="line\nline 數據 🙂",
        )
        twins.answer(lambda api: api.register(request))
        workflow = twins.answer(lambda api: api.workflow(NAME))
        assert (workflow.schedule.cron, workflow.schedule.timezone) == ("5 8 * * 1", "Asia/Tokyo")
        assert (workflow.owner, workflow.team, workflow.description) == ("ö@example.com", "@ü", "line\nline 數據 🙂")

    def test_a_workflow_contains_its_yaml(self, twins: Twins) -> None:
        """The YAML is returned unchanged, with the parsed spec."""
        twins.register()
        workflow = twins.answer(lambda api: api.workflow(NAME))
        assert "ünïcode 数据 🙂" in workflow.yaml_content
        assert workflow.spec["name"] == NAME

    def test_warnings_are_returned(self, twins: Twins) -> None:
        """The answer to a registration and the workflow contain warnings."""
        bare = "version: v1\nname: {name}\nowner: x\nschedule: {{cron: '0 6 * * *'}}\n"
        assert "no tasks" in twins.answer(lambda api: api.register(a_registration(yaml=bare))).warnings[0]
        assert twins.answer(lambda api: api.workflow(NAME)).warnings

    def test_the_status_of_a_run_is_polled_to_its_end(self, twins: Twins) -> None:
        """Every poll returns the same status until the run has succeeded."""
        twins.register()
        run_id = twins.run()
        statuses = []
        for _ in range(4):
            status = twins.answer(lambda api: api.status(run_id))
            statuses.append(status.status)
            twins.each(lambda world: world.clock.sleep(2))
        assert statuses[0] is RunStatus.PENDING
        assert (statuses[-1], status.progress.completed_tasks) == (RunStatus.SUCCESS, 2)

    def test_params_are_stored_unchanged(self, twins: Twins) -> None:
        """Params may contain any characters and have any length."""
        twins.register()
        for params in PARAMS:
            request = RunRequest(params=dict(params))
            accepted = twins.answer(lambda api, request=request: api.run(NAME, request))  # type: ignore[misc]
            assert accepted.params == params
            run_id = accepted.run_id
            assert twins.answer(lambda api, run_id=run_id: api.status(run_id)).params == params  # type: ignore[misc]

    def test_a_run_needs_no_request(self, twins: Twins) -> None:
        """A run without a request has no params."""
        twins.register()
        assert twins.answer(lambda api: api.run(NAME)).params == {}

    def test_a_dry_run_starts_nothing(self, twins: Twins) -> None:
        """The answer is marked as a dry run, and the history stays empty."""
        twins.register()
        assert twins.answer(lambda api: api.run(NAME, RunRequest(dry_run=True))).dry_run
        assert twins.answer(lambda api: api.history()).total == 0

    def test_a_second_run_in_the_same_second_gets_a_suffix(self, twins: Twins) -> None:
        """The run id has the suffix ``_2``."""
        twins.register()
        first = twins.run()
        assert twins.run() == f"{first}_2"

    def test_a_workflow_is_paused_and_unpaused(self, twins: Twins) -> None:
        """A reason is optional, and a second pause keeps the first reason."""
        twins.register()
        paused = twins.answer(lambda api: api.pause(NAME, PauseRequest(reason="Wartung 🙂")))
        assert (paused.status, paused.reason, paused.paused_by) == (WorkflowStatus.PAUSED, "Wartung 🙂", CALLER.name)
        assert twins.answer(lambda api: api.pause(NAME)).reason == "Wartung 🙂"
        assert twins.answer(lambda api: api.workflow(NAME)).pause_reason == "Wartung 🙂"
        assert twins.answer(lambda api: api.unpause(NAME)).status is WorkflowStatus.ACTIVE
        assert twins.answer(lambda api: api.pause(NAME)).reason is None

    def test_a_workflow_is_revised_and_restored(self, twins: Twins) -> None:
        """A revision needs ``force`` or ``if_match``; revisions are listed, diffed and restored."""
        twins.register()
        twins.each(lambda world: world.clock.sleep(60))
        forced = a_registration(yaml=YAML.replace("Clicks", "Klicks 🙂")).model_copy(update={"force": True})
        assert twins.answer(lambda api: api.register(forced)).revision == 2
        matched = a_registration(yaml=YAML.replace("Clicks", "Clics"))
        assert twins.answer(lambda api: api.register(matched, if_match=2)).revision == 3
        workflow = twins.answer(lambda api: api.workflow(NAME))
        assert (workflow.revision, workflow.served_revision) == (3, 3)
        first = twins.answer(lambda api: api.revisions(NAME, RevisionFilters(limit=2)))
        assert ([item.revision for item in first.items], first.total) == ([3, 2], 3)
        rest = twins.answer(lambda api: api.revisions(NAME, RevisionFilters(cursor=first.next_cursor)))
        assert [(item.revision, item.current) for item in rest.items] == [(1, False)]
        assert "Klicks 🙂" in twins.answer(lambda api: api.diff(NAME, 2)).diff
        assert twins.answer(lambda api: api.diff(NAME, 3, DiffFilters(against=1))).before == 1
        assert twins.answer(lambda api: api.restore(NAME, 1)).revision == 4
        assert twins.answer(lambda api: api.restore(NAME, 2, if_match=4)).revision == 5

    @pytest.mark.parametrize("request_", [None, StopRequest(), StopRequest(reason="Schluss 🙂")])
    def test_a_run_is_stopped(self, twins: Twins, request_: StopRequest | None) -> None:
        """A reason is optional, a second stop keeps the first reason, and the status contains the stop."""
        twins.register()
        run_id = twins.run()
        twins.each(lambda world: world.clock.sleep(2))
        stopped = twins.answer(lambda api: api.stop(run_id, request_))
        assert (stopped.status, stopped.stopped_by) == (RunStatus.STOPPING, CALLER.name)
        assert twins.answer(lambda api: api.stop(run_id, StopRequest(reason="again"))).reason == stopped.reason
        status = twins.answer(lambda api: api.status(run_id))
        assert (status.status, status.stopped_by, status.reason) == (RunStatus.STOPPING, CALLER.name, stopped.reason)

    def test_a_run_is_retried(self, twins: Twins) -> None:
        """A retry without a request clears the failed tasks, and the status contains the retry."""
        twins.register()
        twins.each(lambda world: world.airflow.end_task("iceberg_analytics_daily_clicks", "extract", "failed"))
        run_id = twins.run()
        twins.each(lambda world: world.clock.sleep(60))
        assert twins.answer(lambda api: api.status(run_id)).status is RunStatus.FAILED
        retried = twins.answer(lambda api: api.retry(run_id))
        assert (retried.status, retried.retried_by, retried.only_failed, retried.retries) == (
            RunStatus.PENDING,
            CALLER.name,
            True,
            1,
        )
        status = twins.answer(lambda api: api.status(run_id))
        assert (status.ended_at, status.retried_by, status.retries) == (None, CALLER.name, 1)

    def test_a_successful_run_is_retried_completely(self, twins: Twins) -> None:
        """A retry of all tasks is also accepted after a success."""
        twins.register()
        run_id = twins.run()
        twins.each(lambda world: world.clock.sleep(60))
        assert twins.answer(lambda api: api.status(run_id)).status is RunStatus.SUCCESS
        assert not twins.answer(lambda api: api.retry(run_id, RetryRequest(only_failed=False))).only_failed

    @pytest.mark.parametrize("filters", [None, UnregisterFilters(force=True)])
    def test_a_workflow_is_unregistered(self, twins: Twins, filters: UnregisterFilters | None) -> None:
        """``force`` also unregisters a workflow with an active run; the history stays."""
        twins.register()
        run_id = twins.run()
        if filters is None:
            twins.each(lambda world: world.clock.sleep(60))
        unregistered = twins.answer(lambda api: api.unregister(NAME, filters))
        assert (unregistered.status, unregistered.airflow_dag_disabled) == ("unregistered", True)
        assert unregistered.unregistered_by == CALLER.name
        assert twins.answer(lambda api: api.workflows()).total == 0
        assert [item.run_id for item in twins.answer(lambda api: api.history()).items] == [run_id]

    def test_without_airflow_a_status_is_stale(self, twins: Twins) -> None:
        """The status contains the last observed state of a run and its time."""
        twins.register()
        run_id = twins.run()
        twins.answer(lambda api: api.status(run_id))
        twins.each(lambda world: world.airflow.go_down())
        status = twins.answer(lambda api: api.status(run_id))
        assert (status.stale, status.observed_at) == (True, AT.replace(microsecond=0))

    def test_a_run_whose_outcome_is_unknown_is_accepted(self, twins: Twins) -> None:
        """If the outcome of the submission is unknown, the run is accepted as PENDING."""
        twins.register()
        twins.each(lambda world: world.airflow.lose_answers(Effect.NOT_DONE))
        assert twins.answer(lambda api: api.run(NAME)).status is RunStatus.PENDING

    def test_a_workflow_and_its_run_are_explained(self, twins: Twins) -> None:
        """Each reason has a code, a message and the time since which it holds."""
        twins.register()
        run_id = twins.run()
        twins.answer(lambda api: api.pause(NAME, PauseRequest(reason="Wartung 🙂")))
        paused, waiting = twins.answer(lambda api: api.explain_workflow(NAME)).reasons
        assert (paused.code, paused.since) == ("paused", AT.replace(microsecond=0))
        assert "Wartung 🙂" in paused.message
        assert (waiting.code, waiting.since) == ("runs_held", AT.replace(microsecond=0))
        explained = twins.answer(lambda api: api.explain_run(run_id))
        assert (explained.subject, explained.status) == (run_id, RunStatus.PENDING)
        assert [reason.code for reason in explained.reasons] == ["paused", "held"]

    def test_drift_is_a_condition_of_the_workflow(self, twins: Twins) -> None:
        """The condition has a type and a severity; without Airflow the workflow is also stale."""
        twins.register()
        twins.each(lambda world: world.clock.sleep(60))
        twins.each(lambda world: world.airflow.set_paused("iceberg_analytics_daily_clicks", paused=True))
        [condition] = twins.answer(lambda api: api.workflow(NAME)).conditions
        assert (condition.type, condition.severity) == (ConditionType.PAUSED_IN_AIRFLOW, Severity.ERROR)
        twins.each(lambda world: world.airflow.go_down())
        workflow = twins.answer(lambda api: api.workflow(NAME))
        assert (workflow.stale, workflow.observed_at is not None, len(workflow.conditions)) == (True, True, 2)

    def test_lists_are_stale_while_airflow_is_away(self, twins: Twins) -> None:
        """Workflows and active runs are stale; ended runs are not."""
        twins.register()
        ended = twins.run()
        twins.each(lambda world: world.clock.sleep(60))
        twins.each(lambda world: world.sweeper.sweep())
        active = twins.run()
        twins.each(lambda world: world.airflow.go_down())
        twins.each(lambda world: world.sweeper.sweep())
        stale = {item.run_id: item.stale for item in twins.answer(lambda api: api.history()).items}
        assert stale == {ended: False, active: True}
        assert [item.stale for item in twins.answer(lambda api: api.workflows()).items] == [True]

    def test_health_reports_an_unavailable_system(self, twins: Twins) -> None:
        """The health is an answer, not an error, also if a system is unavailable."""
        assert twins.answer(lambda api: api.health()).status == "ok"
        twins.each(lambda world: world.airflow.go_down())
        health = twins.answer(lambda api: api.health())
        assert (health.status, health.airflow.status, health.storage.status) == ("unavailable", "unavailable", "ok")
