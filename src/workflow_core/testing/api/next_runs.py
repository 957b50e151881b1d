"""Rules for previews: the next fire times, and the effect of a registration."""

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
    """A preview changes nothing."""

    def test_the_next_fire_times_are_listed(self, twins: Twins) -> None:
        """The requested number of fire times is returned in UTC and in the workflow's time zone."""
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

    def test_a_shift_by_daylight_saving_is_marked(self, twins: Twins) -> None:
        """A fire time that does not exist on that day is marked as moved."""
        schedule = ScheduleModel(cron="30 2 8,9 3 *", timezone="America/New_York")
        twins.answer(
            lambda api: api.register(
                RegisterRequest(dataset_name=OTHER, yaml_content=YAML.format(name=OTHER), schedule=schedule)
            )
        )
        first, second = twins.answer(lambda api: api.next_runs(OTHER, NextRunsFilters(count=2))).next_runs
        assert (first.local, first.daylight_saving) == ("2026-03-08T03:30:00-04:00", "moved")
        assert (second.local, second.daylight_saving) == ("2026-03-09T02:30:00-04:00", None)

    def test_a_paused_workflow_has_fire_times(self, twins: Twins) -> None:
        """The answer contains the fire times after an unpause, and the status PAUSED."""
        twins.register()
        twins.answer(lambda api: api.pause(NAME))
        answer = twins.answer(lambda api: api.next_runs(NAME))
        assert (answer.status, len(answer.next_runs)) == (WorkflowStatus.PAUSED, 20)

    def test_an_unknown_workflow_has_no_fire_times(self, twins: Twins) -> None:
        """A request for an unknown workflow raises the usual error."""
        assert type(twins.error(lambda api: api.next_runs("no.such"))) is errors.WorkflowNotFound

    def test_a_new_workflow_is_validated(self, twins: Twins) -> None:
        """The answer contains the first fire times, and the workflow is not registered."""
        answer = self._validated(twins, YAML.format(name=OTHER), name=OTHER)
        assert (answer.valid, answer.problems, answer.registered, answer.revision) == (True, (), False, None)
        assert (answer.changes, answer.next_runs_now) == ((), ())
        assert answer.next_runs[0].local == "2026-01-01T06:00:00-05:00"
        assert type(twins.error(lambda api: api.workflow(OTHER))) is errors.WorkflowNotFound

    def test_a_validation_lists_the_changes(self, twins: Twins) -> None:
        """The answer contains the changed fields, a diff and the fire times; the registered workflow is unchanged."""
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

    def test_a_validation_of_the_same_spec_has_no_changes(self, twins: Twins) -> None:
        """No field changes, and there is no diff."""
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
    def test_a_validation_lists_every_problem(self, twins: Twins, text: str, fields: set[str | None]) -> None:
        """The problems are in the answer; no error is raised."""
        answer = self._validated(twins, text)
        assert not answer.valid
        assert {problem.field for problem in answer.problems} == fields

    def test_a_taken_dag_id_is_a_problem(self, twins: Twins) -> None:
        """A name whose DAG id another workflow holds is a problem of the field ``dataset_name``."""
        twins.register()
        name = NAME.replace("_", "-")
        [problem] = self._validated(twins, YAML.format(name=name), name=name).problems
        assert (problem.field, NAME in problem.message) == ("dataset_name", True)

    def test_a_validation_uses_all_fields_of_the_request(self, twins: Twins) -> None:
        """The fields beside the YAML count as in a registration."""
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
