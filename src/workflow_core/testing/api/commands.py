"""Registering, running, pausing, and looking at each."""

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
"""What the workflow of this suite declares."""


class CommandRules(ApiSubject):
    """What changes something, and the answers to it."""

    def test_a_registration_is_answered(self, twins: Twins) -> None:
        """With who asked and when, to the second."""
        answer = twins.answer(lambda api: api.register(a_registration()))
        assert (answer.dataset_name, answer.status) == (NAME, WorkflowStatus.ACTIVE)
        assert (answer.registered_by, answer.registered_at) == (CALLER.name, AT.replace(microsecond=0))

    def test_what_is_given_beside_the_yaml_arrives(self, twins: Twins) -> None:
        """Schedule, owner, team and description."""
        request = RegisterRequest(
            dataset_name=NAME,
            yaml_content=YAML.format(name=NAME),
            schedule=ScheduleModel(cron="5 8 * * 1", timezone="Asia/Tokyo"),
            owner="ö@example.com",
            team="@ü",
            description="line\nline 數據 🙂",
        )
        twins.answer(lambda api: api.register(request))
        shown = twins.answer(lambda api: api.workflow(NAME))
        assert (shown.schedule.cron, shown.schedule.timezone) == ("5 8 * * 1", "Asia/Tokyo")
        assert (shown.owner, shown.team, shown.description) == ("ö@example.com", "@ü", "line\nline 數據 🙂")

    def test_a_workflow_is_shown_with_its_yaml(self, twins: Twins) -> None:
        """To the letter."""
        twins.register()
        shown = twins.answer(lambda api: api.workflow(NAME))
        assert "ünïcode 数据 🙂" in shown.yaml_content
        assert shown.spec["name"] == NAME

    def test_warnings_arrive(self, twins: Twins) -> None:
        """Those of a registration, and those that stay with the workflow."""
        bare = "version: v1\nname: {name}\nowner: x\nschedule: {{cron: '0 6 * * *'}}\n"
        assert "no tasks" in twins.answer(lambda api: api.register(a_registration(yaml=bare))).warnings[0]
        assert twins.answer(lambda api: api.workflow(NAME)).warnings

    def test_a_run_is_accepted_and_followed_to_its_end(self, twins: Twins) -> None:
        """Each look is the same, and the end."""
        twins.register()
        run_id = twins.run()
        seen = []
        for _ in range(4):
            status = twins.answer(lambda api: api.status(run_id))
            seen.append(status.status)
            twins.each(lambda world: world.clock.sleep(2))
        assert seen[0] is RunStatus.PENDING
        assert (seen[-1], status.progress.completed_tasks) == (RunStatus.SUCCESS, 2)

    def test_params_arrive_as_they_are(self, twins: Twins) -> None:
        """Of any characters and length."""
        twins.register()
        for params in PARAMS:
            request = RunRequest(params=dict(params))
            accepted = twins.answer(lambda api, request=request: api.run(NAME, request))  # type: ignore[misc]
            assert accepted.params == params
            run_id = accepted.run_id
            assert twins.answer(lambda api, run_id=run_id: api.status(run_id)).params == params  # type: ignore[misc]

    def test_a_run_needs_no_request(self, twins: Twins) -> None:
        """Without one there are no params."""
        twins.register()
        assert twins.answer(lambda api: api.run(NAME)).params == {}

    def test_a_dry_run_starts_nothing(self, twins: Twins) -> None:
        """And says so."""
        twins.register()
        assert twins.answer(lambda api: api.run(NAME, RunRequest(dry_run=True))).dry_run
        assert twins.answer(lambda api: api.history()).total == 0

    def test_a_second_run_in_the_same_second(self, twins: Twins) -> None:
        """Has the next id."""
        twins.register()
        first = twins.run()
        assert twins.run() == f"{first}_2"

    def test_pause_and_unpause(self, twins: Twins) -> None:
        """With a reason, without one, and twice; the first reason stays."""
        twins.register()
        paused = twins.answer(lambda api: api.pause(NAME, PauseRequest(reason="Wartung 🙂")))
        assert (paused.status, paused.reason, paused.paused_by) == (WorkflowStatus.PAUSED, "Wartung 🙂", CALLER.name)
        assert twins.answer(lambda api: api.pause(NAME)).reason == "Wartung 🙂"
        assert twins.answer(lambda api: api.workflow(NAME)).pause_reason == "Wartung 🙂"
        assert twins.answer(lambda api: api.unpause(NAME)).status is WorkflowStatus.ACTIVE
        assert twins.answer(lambda api: api.pause(NAME)).reason is None

    def test_a_workflow_is_revised_and_looked_back_at(self, twins: Twins) -> None:
        """By force and by the revision that was seen; listed, compared, restored."""
        twins.register()
        twins.each(lambda world: world.clock.sleep(60))
        forced = a_registration(yaml=YAML.replace("Clicks", "Klicks 🙂")).model_copy(update={"force": True})
        assert twins.answer(lambda api: api.register(forced)).revision == 2
        matched = a_registration(yaml=YAML.replace("Clicks", "Clics"))
        assert twins.answer(lambda api: api.register(matched, if_match=2)).revision == 3
        shown = twins.answer(lambda api: api.workflow(NAME))
        assert (shown.revision, shown.served_revision) == (3, 3)
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
        """With a reason or without one; a second stop keeps the first, and the status tells of it."""
        twins.register()
        run_id = twins.run()
        twins.each(lambda world: world.clock.sleep(2))
        stopped = twins.answer(lambda api: api.stop(run_id, request_))
        assert (stopped.status, stopped.stopped_by) == (RunStatus.STOPPING, CALLER.name)
        assert twins.answer(lambda api: api.stop(run_id, StopRequest(reason="again"))).reason == stopped.reason
        status = twins.answer(lambda api: api.status(run_id))
        assert (status.status, status.stopped_by, status.reason) == (RunStatus.STOPPING, CALLER.name, stopped.reason)

    def test_a_run_is_retried(self, twins: Twins) -> None:
        """What failed of it, without a request; the status tells of it."""
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

    def test_all_of_a_run_is_retried(self, twins: Twins) -> None:
        """A success, too, where all of it is asked for."""
        twins.register()
        run_id = twins.run()
        twins.each(lambda world: world.clock.sleep(60))
        assert twins.answer(lambda api: api.status(run_id)).status is RunStatus.SUCCESS
        assert not twins.answer(lambda api: api.retry(run_id, RetryRequest(only_failed=False))).only_failed

    @pytest.mark.parametrize("filters", [None, UnregisterFilters(force=True)])
    def test_a_workflow_is_unregistered(self, twins: Twins, filters: UnregisterFilters | None) -> None:
        """By force also with a run in it; its history stays."""
        twins.register()
        run_id = twins.run()
        if filters is None:
            twins.each(lambda world: world.clock.sleep(60))
        gone = twins.answer(lambda api: api.unregister(NAME, filters))
        assert (gone.status, gone.airflow_dag_disabled, gone.unregistered_by) == ("unregistered", True, CALLER.name)
        assert twins.answer(lambda api: api.workflows()).total == 0
        assert [item.run_id for item in twins.answer(lambda api: api.history()).items] == [run_id]

    def test_airflow_away(self, twins: Twins) -> None:
        """A run that Airflow has is told as last seen."""
        twins.register()
        run_id = twins.run()
        twins.answer(lambda api: api.status(run_id))
        twins.each(lambda world: world.airflow.go_down())
        status = twins.answer(lambda api: api.status(run_id))
        assert (status.stale, status.observed_at) == (True, AT.replace(microsecond=0))

    def test_a_run_whose_outcome_is_unknown_is_accepted(self, twins: Twins) -> None:
        """It waits, and is no error."""
        twins.register()
        twins.each(lambda world: world.airflow.lose_answers(Effect.NOT_DONE))
        assert twins.answer(lambda api: api.run(NAME)).status is RunStatus.PENDING

    def test_why_something_does_not_run(self, twins: Twins) -> None:
        """A workflow and a run of it; with each reason, since when it is so."""
        twins.register()
        run_id = twins.run()
        twins.answer(lambda api: api.pause(NAME, PauseRequest(reason="Wartung 🙂")))
        paused, held = twins.answer(lambda api: api.explain_workflow(NAME)).reasons
        assert (paused.code, paused.since) == ("paused", AT.replace(microsecond=0))
        assert "Wartung 🙂" in paused.message
        assert (held.code, held.since) == ("runs_held", AT.replace(microsecond=0))
        explained = twins.answer(lambda api: api.explain_run(run_id))
        assert (explained.subject, explained.status) == (run_id, RunStatus.PENDING)
        assert [reason.code for reason in explained.reasons] == ["paused", "held"]

    def test_what_is_not_as_it_is_wanted_is_told(self, twins: Twins) -> None:
        """With since when, and how bad it is."""
        twins.register()
        twins.each(lambda world: world.clock.sleep(60))
        twins.each(lambda world: world.airflow.set_paused("iceberg_analytics_daily_clicks", paused=True))
        [condition] = twins.answer(lambda api: api.workflow(NAME)).conditions
        assert (condition.type, condition.severity) == (ConditionType.PAUSED_IN_AIRFLOW, Severity.ERROR)
        twins.each(lambda world: world.airflow.go_down())
        shown = twins.answer(lambda api: api.workflow(NAME))
        assert (shown.stale, shown.observed_at is not None, len(shown.conditions)) == (True, True, 2)

    def test_lists_are_stale_while_airflow_is_away(self, twins: Twins) -> None:
        """Workflows, and runs that have not ended; those that have are what they are."""
        twins.register()
        ended = twins.run()
        twins.each(lambda world: world.clock.sleep(60))
        twins.each(lambda world: world.service.sweep())
        active = twins.run()
        twins.each(lambda world: world.airflow.go_down())
        twins.each(lambda world: world.service.sweep())
        stale = {item.run_id: item.stale for item in twins.answer(lambda api: api.history()).items}
        assert stale == {ended: False, active: True}
        assert [item.stale for item in twins.answer(lambda api: api.workflows()).items] == [True]

    def test_health(self, twins: Twins) -> None:
        """That a system is away is an answer."""
        assert twins.answer(lambda api: api.health()).status == "ok"
        twins.each(lambda world: world.airflow.go_down())
        health = twins.answer(lambda api: api.health())
        assert (health.status, health.airflow.status, health.storage.status) == ("unavailable", "unavailable", "ok")
