"""Looking ahead: fire times, and what registering a spec would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workflow_core import errors
from workflow_core.api import NextRunsFilters, RegisterRequest, ScheduleModel
from workflow_core.domain.workflow import SourceType, WorkflowStatus
from workflow_core.testing.api.subject import NAME, YAML, ApiSubject, Twins

if TYPE_CHECKING:
    from workflow_core.api import ValidateAnswer

OTHER = "lake.sales.orders"


class NextRunsRules(ApiSubject):
    """Nothing of it is recorded."""

    def test_the_next_fire_times(self, twins: Twins) -> None:
        """In UTC and in the workflow's time zone, as many as were asked for."""
        twins.register()
        answer = twins.answer(lambda api: api.next_runs(NAME, NextRunsFilters(count=3)))
        assert (answer.dataset_name, answer.status, answer.schedule.timezone) == (NAME, "active", "America/New_York")
        assert [fire.local for fire in answer.next_runs] == [
            "2026-01-01T06:00:00-05:00",
            "2026-01-02T06:00:00-05:00",
            "2026-01-03T06:00:00-05:00",
        ]
        assert answer.next_runs[0].at.isoformat() == "2026-01-01T11:00:00+00:00"
        assert len(twins.answer(lambda api: api.next_runs(NAME)).next_runs) == 20

    def test_what_the_clocks_do_is_marked(self, twins: Twins) -> None:
        """A time that does not exist on that day."""
        schedule = ScheduleModel(cron="30 2 8,9 3 *", timezone="America/New_York")
        twins.answer(
            lambda api: api.register(
                RegisterRequest(dataset_name=OTHER, yaml_content=YAML.format(name=OTHER), schedule=schedule)
            )
        )
        first, second = twins.answer(lambda api: api.next_runs(OTHER, NextRunsFilters(count=2))).next_runs
        assert (first.local, first.daylight_saving) == ("2026-03-08T03:30:00-04:00", "moved")
        assert (second.local, second.daylight_saving) == ("2026-03-09T02:30:00-04:00", None)

    def test_of_a_paused_workflow_they_are_those_as_if_it_were_not(self, twins: Twins) -> None:
        """And the answer says that it is."""
        twins.register()
        twins.answer(lambda api: api.pause(NAME))
        answer = twins.answer(lambda api: api.next_runs(NAME))
        assert (answer.status, len(answer.next_runs)) == (WorkflowStatus.PAUSED, 20)

    def test_of_what_is_not_there_there_are_none(self, twins: Twins) -> None:
        """An error like any other."""
        assert type(twins.error(lambda api: api.next_runs("no.such"))) is errors.WorkflowNotFound

    def test_a_new_workflow_is_valid(self, twins: Twins) -> None:
        """With its first fire times; it is still not there."""
        answer = self._validated(twins, YAML.format(name=OTHER), name=OTHER)
        assert (answer.valid, answer.problems, answer.registered, answer.revision) == (True, (), False, None)
        assert (answer.changes, answer.next_runs_now) == ((), ())
        assert answer.next_runs[0].local == "2026-01-01T06:00:00-05:00"
        assert type(twins.error(lambda api: api.workflow(OTHER))) is errors.WorkflowNotFound

    def test_what_would_change_is_told(self, twins: Twins) -> None:
        """Field by field, as a diff, and in the fire times; what is registered stays."""
        twins.register()
        text = YAML.format(name=NAME).replace("0 6 * * *", "0 8 * * *").replace("task_id: load", "task_id: store")
        answer = self._validated(twins, text)
        assert (answer.registered, answer.revision) == (True, 1)
        changes = {change.field: (change.before, change.after) for change in answer.changes}
        assert changes.pop("schedule.cron") == ("0 6 * * *", "0 8 * * *")
        assert set(changes) == {"tasks.load", "tasks.store"}
        assert (changes["tasks.load"][1], changes["tasks.store"][0]) == (None, None)
        assert "+  - {task_id: store" in (answer.diff or "")
        assert answer.next_runs_now[0].local == "2026-01-01T06:00:00-05:00"
        assert answer.next_runs[0].local == "2026-01-01T08:00:00-05:00"
        assert twins.answer(lambda api: api.workflow(NAME)).revision == 1

    def test_the_same_again_changes_nothing(self, twins: Twins) -> None:
        """No field, and no line."""
        twins.register()
        answer = self._validated(twins, twins.answer(lambda api: api.workflow(NAME)).yaml_content)
        assert (answer.registered, answer.changes, answer.diff) == (True, (), None)

    @pytest.mark.parametrize(
        ("text", "fields"),
        [
            ("version: v1\nname: daily_clicks\n", {"schedule", "owner"}),
            (YAML.format(name=NAME).replace("operator: empty", "operator: nothing"), {"tasks[1].operator"}),
            ("[" * 10, {None}),
        ],
    )
    def test_every_finding_is_told(self, twins: Twins, text: str, fields: set[str | None]) -> None:
        """As an answer, not as an error."""
        answer = self._validated(twins, text)
        assert not answer.valid
        assert {problem.field for problem in answer.problems} == fields

    def test_a_dag_id_that_is_taken_is_a_finding(self, twins: Twins) -> None:
        """By another name."""
        twins.register()
        name = NAME.replace("_", "-")
        [problem] = self._validated(twins, YAML.format(name=name), name=name).problems
        assert (problem.field, NAME in problem.message) == ("dataset_name", True)

    def test_all_fields_of_the_request_count(self, twins: Twins) -> None:
        """As they do when it is registered."""
        twins.register()
        request = RegisterRequest(
            dataset_name=NAME,
            yaml_content=YAML.format(name=NAME),
            schedule=ScheduleModel(cron="1 2 * * *"),
            owner="o@example.com",
            team="@t",
            description="d",
        )
        answer = twins.answer(lambda api: api.validate(request))
        changed = {change.field: change.after for change in answer.changes}
        assert changed == {
            "schedule.cron": "1 2 * * *",
            "schedule.timezone": "UTC",
            "owner": "o@example.com",
            "team": "@t",
            "description": "d",
        }
        code = request.model_copy(update={"source_type": SourceType.CODE})
        assert twins.answer(lambda api: api.validate(code)).valid

    def _validated(self, twins: Twins, text: str, *, name: str = NAME) -> ValidateAnswer:
        return twins.answer(lambda api: api.validate(RegisterRequest(dataset_name=name, yaml_content=text)))
