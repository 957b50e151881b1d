"""Rules for errors: every implementation raises the same class, code, message and problems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_core import errors
from workflow_core.api import (
    HistoryFilters,
    PauseRequest,
    RegisterRequest,
    RunRequest,
    ScheduleModel,
    WorkflowFilters,
)
from workflow_core.domain.names import DATASET_NAME_PATTERN, RUN_ID_PATTERN
from workflow_core.domain.workflow import SourceType
from workflow_core.testing.api.subject import NAME, YAML, ApiSubject, Twins, a_registration

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.api import WorkflowApi

MALFORMED_NAMES: Final = (
    "", ".", "..", "/", "one", "a/b.c", "a.b/run", "../a.b", "a.b/../c.d", "%2e%2e", "a%2Fb.c", "a.b%00", "a.b\0", "a b.c",
    " a.b", "a.b ", "a.b?x=1", "a.b#x", "a.b;x", "a..b", ".a.b", "a.b.", "ü.b", "a.b\n", "a\\b.c", "数据.🙂", "\ud800.a",
    "register", "runs", "history", f"{'a' * 199}.b", "http://x.y/z", "a.-b",
)  # fmt: skip
"""Names that could match another route, leave the path or match no route."""

BY_NAME: Final[tuple[Callable[[WorkflowApi, str], object], ...]] = (
    lambda api, name: api.workflow(name),
    lambda api, name: api.run(name),
    lambda api, name: api.pause(name),
    lambda api, name: api.unpause(name),
    lambda api, name: api.unregister(name),
    lambda api, name: api.revisions(name),
    lambda api, name: api.diff(name, 1),
    lambda api, name: api.restore(name, 1),
    lambda api, name: api.history(HistoryFilters(dataset_name=name)),
    lambda api, name: api.register(RegisterRequest(dataset_name=name, yaml_content="x")),
)

BY_RUN_ID: Final[tuple[Callable[[WorkflowApi, str], object], ...]] = (
    lambda api, run_id: api.status(run_id),
    lambda api, run_id: api.stop(run_id),
)

INVALID_PARAMS: Final[tuple[dict[str, Any], ...]] = (
    {"unknown": 1},
    {"date": "2026-02-30"},
    {"date": 5},
    {"limit": 11},
    {"limit": 2**70},
    {"region": 5, "limit": "x", "date": None, "ünï 数据 \n": 1},
    {"note": "x" * 70_000},
    {"region": {"a": [1, {"b": 2**64}]}},
)

ANY: Final = settings(max_examples=60, deadline=None, database=None)
STORABLE: Final = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
"""The characters that a request accepts; it refuses NUL and surrogates."""


class RefusalRules(ApiSubject):
    """Refused requests."""

    @pytest.mark.parametrize("name", MALFORMED_NAMES, ids=ascii)
    def test_malformed_names_are_refused(self, twins: Twins, name: str) -> None:
        """Every method with a name refuses a malformed one."""
        twins.register()
        for ask in BY_NAME:
            if name not in {"a.b\0", "\ud800.a"} or ask in BY_NAME[:8]:  # the request itself refuses such characters
                error = twins.error(lambda api, ask=ask: ask(api, name))  # type: ignore[misc]
                assert isinstance(error, errors.InvalidRequest)
                assert error.problems[0].field == "dataset_name"

    @pytest.mark.parametrize("run_id", [*MALFORMED_NAMES[:12], "a b", "a..b", "ü", "a\0", "%", "x" * 251], ids=ascii)
    def test_malformed_run_ids_are_refused_or_not_found(self, twins: Twins, run_id: str) -> None:
        """Every method with a run id refuses or does not find a malformed one."""
        for ask in BY_RUN_ID:
            error = twins.error(lambda api, ask=ask: ask(api, run_id))  # type: ignore[misc]
            assert isinstance(error, errors.InvalidRequest | errors.WorkflowRunNotFound)

    def test_unknown_and_outdated_revisions_are_refused(self, twins: Twins) -> None:
        """An unknown revision is not found, and an outdated ``if_match`` is a mismatch."""
        twins.register()
        assert isinstance(twins.error(lambda api: api.diff(NAME, 2)), errors.RevisionNotFound)
        assert isinstance(twins.error(lambda api: api.restore(NAME, 2)), errors.RevisionNotFound)
        assert isinstance(twins.error(lambda api: api.restore(NAME, 1, if_match=2)), errors.RevisionMismatch)
        assert isinstance(twins.error(lambda api: api.register(a_registration(), if_match=2)), errors.RevisionMismatch)

    def test_active_runs_and_ended_runs_cause_conflicts(self, twins: Twins) -> None:
        """A workflow with an active run is not unregistered, and an ended run is not stopped."""
        twins.register()
        run_id = twins.run()
        assert isinstance(twins.error(lambda api: api.unregister(NAME)), errors.WorkflowHasActiveRuns)
        twins.each(lambda world: world.clock.sleep(60))
        assert isinstance(twins.error(lambda api: api.stop(run_id)), errors.RunNotActive)

    def test_any_text_as_a_name(self, twins: Twins) -> None:
        """Any text is refused or not found as a workflow."""

        @ANY
        @given(name=st.text() | st.from_regex(DATASET_NAME_PATTERN))
        def refused(name: str) -> None:
            error = twins.error(lambda api: api.workflow(name))
            assert isinstance(error, errors.InvalidRequest | errors.WorkflowNotFound)

        refused()

    def test_any_text_as_a_run_id(self, twins: Twins) -> None:
        """Any text is refused or not found as a run."""

        @ANY
        @given(run_id=st.text() | st.from_regex(RUN_ID_PATTERN))
        def refused(run_id: str) -> None:
            error = twins.error(lambda api: api.status(run_id))
            assert isinstance(error, errors.InvalidRequest | errors.WorkflowRunNotFound)

        refused()

    def test_any_text_as_a_cursor(self, twins: Twins) -> None:
        """Both lists refuse any text that is not their cursor."""

        @ANY
        @given(cursor=STORABLE)
        def refused(cursor: str) -> None:
            for error in (
                twins.error(lambda api: api.workflows(WorkflowFilters(cursor=cursor))),
                twins.error(lambda api: api.history(HistoryFilters(cursor=cursor))),
            ):
                assert error.problems[0].field == "cursor"

        refused()

    def test_any_params(self, twins: Twins) -> None:
        """Undeclared params are refused with a problem for each."""
        twins.register()
        values = st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | STORABLE,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STORABLE, inner, max_size=3),
            max_leaves=8,
        )

        @ANY
        @given(params=st.dictionaries(STORABLE.map("x{}".format), values, min_size=1, max_size=5))
        def refused(params: dict[str, Any]) -> None:
            error = twins.error(lambda api: api.run(NAME, RunRequest(params=params)))
            assert len(error.problems) >= len(params)

        refused()

    def test_a_cursor_of_the_other_list_is_refused(self, twins: Twins) -> None:
        """The list of workflows refuses a cursor of the history."""
        twins.register()
        twins.run()
        twins.run()
        cursor = twins.answer(lambda api: api.history(HistoryFilters(limit=1))).next_cursor
        assert cursor is not None
        twins.error(lambda api: api.workflows(WorkflowFilters(cursor=cursor)))

    @pytest.mark.parametrize(
        ("kind", "ask"),
        [
            (errors.WorkflowNotFound, lambda api: api.workflow("no.such")),
            (errors.WorkflowNotFound, lambda api: api.run("no.such")),
            (errors.WorkflowNotFound, lambda api: api.pause("no.such")),
            (errors.WorkflowNotFound, lambda api: api.unpause("no.such")),
            (errors.WorkflowRunNotFound, lambda api: api.status("no.such_20260101_000000")),
            (errors.WorkflowNotFound, lambda api: api.explain_workflow("no.such")),
            (errors.WorkflowRunNotFound, lambda api: api.explain_run("no.such_20260101_000000")),
            (errors.WorkflowRunNotFound, lambda api: api.retry("no.such_20260101_000000")),
            (errors.WorkflowAlreadyExists, lambda api: api.register(a_registration())),
            (errors.WorkflowAlreadyExists, lambda api: api.register(a_registration(NAME.replace("_", "-")))),
        ],
    )  # fmt: skip
    def test_unknown_and_taken_names_raise_specific_errors(
        self, twins: Twins, kind: type[errors.WorkflowError], ask: Any
    ) -> None:
        """The class of the error distinguishes unknown workflows, unknown runs and taken names."""
        twins.register()
        assert type(twins.error(ask)) is kind

    def test_a_paused_workflow_is_not_run(self, twins: Twins) -> None:
        """A trigger of a paused workflow raises a conflict."""
        twins.register()
        twins.answer(lambda api: api.pause(NAME))
        assert type(twins.error(lambda api: api.run(NAME))) is errors.WorkflowPaused

    def test_only_a_failed_run_is_retried(self, twins: Twins) -> None:
        """A retry of the failed tasks of an active or successful run raises a conflict."""
        twins.register()
        run_id = twins.run()
        assert type(twins.error(lambda api: api.retry(run_id))) is errors.RunNotRetryable
        twins.each(lambda world: world.clock.sleep(60))
        twins.answer(lambda api: api.status(run_id))
        assert type(twins.error(lambda api: api.retry(run_id))) is errors.RunNotRetryable

    @pytest.mark.parametrize("name", ["a.b", NAME])
    def test_a_code_workflow_is_not_registered_over_the_api(self, twins: Twins, name: str) -> None:
        """A registration with the source CODE is denied."""
        request = RegisterRequest(dataset_name=name, yaml_content=YAML.format(name=name), source_type=SourceType.CODE)
        assert type(twins.error(lambda api: api.register(request))) is errors.WorkflowPermissionDenied

    def test_invalid_params_are_refused(self, twins: Twins) -> None:
        """Every problem names its param."""
        twins.register()
        for params in INVALID_PARAMS:
            request = RunRequest(params=params)
            error = twins.error(lambda api, request=request: api.run(NAME, request))  # type: ignore[misc]
            assert type(error) is errors.InvalidRequest
            assert error.problems[0].field

    @pytest.mark.parametrize(
        "yaml",
        [
            "",
            "[",
            "version: v2\nname: {name}",
            "a: &a [*a]",
            YAML.replace("0 6 * * *", "61 6 * * *"),
            YAML.replace("operator: bash", "operator: os.system").replace("extract]", "gone]"),
            YAML + "x: 'ünï 数据 🙂'\n",
            "x" * 300_000,
            "\ufeffx: 1",
            "x: \u2028\x85\x01",
        ],
        ids=lambda yaml: ascii(yaml[:20]),
    )
    def test_an_invalid_spec_is_refused(self, twins: Twins, yaml: str) -> None:
        """The error lists the problems of the spec."""
        request = RegisterRequest(dataset_name=NAME, yaml_content=yaml.replace("{{", "{").replace("}}", "}"))
        error = twins.error(lambda api: api.register(request))
        assert type(error) is errors.InvalidWorkflowSpec
        assert error.problems

    def test_an_invalid_schedule_is_refused(self, twins: Twins) -> None:
        """An invalid cron expression and an invalid time zone are refused."""
        for cron, timezone in (("61 * * * *", "UTC"), ("* * * * *", "Mars/Olympus"), ("ü", "")):
            request = a_registration().model_copy(update={"schedule": ScheduleModel(cron=cron, timezone=timezone)})
            error = twins.error(lambda api, request=request: api.register(request))  # type: ignore[misc]
            assert isinstance(error, errors.InvalidRequest)

    def test_a_reversed_date_range_is_refused(self, twins: Twins) -> None:
        """The service, not the request, refuses an end before the start."""
        filters = HistoryFilters.model_validate({"start_date": "2026-01-02", "end_date": "2026-01-01"})
        assert twins.error(lambda api: api.history(filters)).problems[0].field == "end_date"

    def test_commands_need_airflow(self, twins: Twins) -> None:
        """While Airflow is unavailable, commands that need it are refused."""
        twins.register()
        twins.each(lambda world: world.airflow.go_down())
        commands: tuple[Callable[[WorkflowApi], object], ...] = (
            lambda api: api.run(NAME),
            lambda api: api.pause(NAME, PauseRequest(reason="x")),
            lambda api: api.register(a_registration("a.b")),
        )
        for ask in commands:
            assert type(twins.error(ask)) is errors.AirflowUnavailable

    def test_a_registration_needs_the_object_store(self, twins: Twins) -> None:
        """While the object store is unavailable, a registration is refused."""
        twins.each(lambda world: world.storage.go_down())
        assert type(twins.error(lambda api: api.register(a_registration()))) is errors.StorageUnavailable

    def test_a_registration_needs_the_loader(self, twins: Twins) -> None:
        """Without loader files in Airflow, a registration is refused."""
        twins.each(lambda world: world.airflow.uninstall())
        assert type(twins.error(lambda api: api.register(a_registration()))) is errors.LoaderNotInstalled
