"""Errors: of the same class, code, message and findings."""

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

NO_NAMES: Final = (
    "", ".", "..", "/", "one", "a/b.c", "a.b/run", "../a.b", "a.b/../c.d", "%2e%2e", "a%2Fb.c", "a.b%00", "a.b\0", "a b.c",
    " a.b", "a.b ", "a.b?x=1", "a.b#x", "a.b;x", "a..b", ".a.b", "a.b.", "ü.b", "a.b\n", "a\\b.c", "数据.🙂", "\ud800.a",
    "register", "runs", "history", f"{'a' * 199}.b", "http://x.y/z", "a.-b",
)  # fmt: skip
"""What could lead to another route, out of the path, or nowhere."""

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

WRONG_PARAMS: Final[tuple[dict[str, Any], ...]] = (
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
"""What a request takes: it refuses NUL and half characters by itself."""


class RefusalRules(ApiSubject):
    """What is refused, and how."""

    @pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
    def test_malformed_names_are_refused(self, twins: Twins, name: str) -> None:
        """By every call that takes a name, and nothing else is reached through it."""
        twins.register()
        for ask in BY_NAME:
            if name not in {"a.b\0", "\ud800.a"} or ask in BY_NAME[:8]:  # requests refuse such characters by themselves
                error = twins.error(lambda api, ask=ask: ask(api, name))  # type: ignore[misc]
                assert isinstance(error, errors.InvalidRequest)
                assert error.problems[0].field == "dataset_name"

    @pytest.mark.parametrize("run_id", [*NO_NAMES[:12], "a b", "a..b", "ü", "a\0", "%", "x" * 251], ids=ascii)
    def test_malformed_run_ids_are_refused_or_not_found(self, twins: Twins, run_id: str) -> None:
        """Some of these could be run ids, but there is no such run."""
        for ask in BY_RUN_ID:
            error = twins.error(lambda api, ask=ask: ask(api, run_id))  # type: ignore[misc]
            assert isinstance(error, errors.InvalidRequest | errors.WorkflowRunNotFound)

    def test_revisions_that_are_not_there(self, twins: Twins) -> None:
        """Unknown ones, and those that the caller has not seen."""
        twins.register()
        assert isinstance(twins.error(lambda api: api.diff(NAME, 2)), errors.RevisionNotFound)
        assert isinstance(twins.error(lambda api: api.restore(NAME, 2)), errors.RevisionNotFound)
        assert isinstance(twins.error(lambda api: api.restore(NAME, 1, if_match=2)), errors.RevisionMismatch)
        assert isinstance(twins.error(lambda api: api.register(a_registration(), if_match=2)), errors.RevisionMismatch)

    def test_what_does_not_allow_it(self, twins: Twins) -> None:
        """A workflow with a run in it, and a run that has ended."""
        twins.register()
        run_id = twins.run()
        assert isinstance(twins.error(lambda api: api.unregister(NAME)), errors.WorkflowHasActiveRuns)
        twins.each(lambda world: world.clock.sleep(60))
        assert isinstance(twins.error(lambda api: api.stop(run_id)), errors.RunNotActive)

    def test_any_text_as_a_name(self, twins: Twins) -> None:
        """Is refused or not found."""

        @ANY
        @given(name=st.text() | st.from_regex(DATASET_NAME_PATTERN))
        def refused(name: str) -> None:
            error = twins.error(lambda api: api.workflow(name))
            assert isinstance(error, errors.InvalidRequest | errors.WorkflowNotFound)

        refused()

    def test_any_text_as_a_run_id(self, twins: Twins) -> None:
        """Is refused or not found."""

        @ANY
        @given(run_id=st.text() | st.from_regex(RUN_ID_PATTERN))
        def refused(run_id: str) -> None:
            error = twins.error(lambda api: api.status(run_id))
            assert isinstance(error, errors.InvalidRequest | errors.WorkflowRunNotFound)

        refused()

    def test_any_text_as_a_cursor(self, twins: Twins) -> None:
        """Is refused by both lists."""

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
        """Those that are not declared are refused, with a finding for each."""
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
        """It is a key of something else."""
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
    def test_what_is_not_there_or_is_taken(self, twins: Twins, kind: type[errors.WorkflowError], ask: Any) -> None:
        """The class says which."""
        twins.register()
        assert type(twins.error(ask)) is kind

    def test_a_paused_workflow_is_not_run(self, twins: Twins) -> None:
        """A conflict."""
        twins.register()
        twins.answer(lambda api: api.pause(NAME))
        assert type(twins.error(lambda api: api.run(NAME))) is errors.WorkflowPaused

    def test_what_has_not_ended_or_not_failed_is_not_retried(self, twins: Twins) -> None:
        """A conflict, and the message says why."""
        twins.register()
        run_id = twins.run()
        assert type(twins.error(lambda api: api.retry(run_id))) is errors.RunNotRetryable
        twins.each(lambda world: world.clock.sleep(60))
        twins.answer(lambda api: api.status(run_id))
        assert type(twins.error(lambda api: api.retry(run_id))) is errors.RunNotRetryable

    @pytest.mark.parametrize("name", ["a.b", NAME])
    def test_code_is_not_registered(self, twins: Twins, name: str) -> None:
        """Not over the API."""
        request = RegisterRequest(dataset_name=name, yaml_content=YAML.format(name=name), source_type=SourceType.CODE)
        assert type(twins.error(lambda api: api.register(request))) is errors.WorkflowPermissionDenied

    def test_wrong_params(self, twins: Twins) -> None:
        """A finding for each."""
        twins.register()
        for params in WRONG_PARAMS:
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
    def test_a_wrong_spec(self, twins: Twins, yaml: str) -> None:
        """Every finding with its place."""
        request = RegisterRequest(dataset_name=NAME, yaml_content=yaml.replace("{{", "{").replace("}}", "}"))
        error = twins.error(lambda api: api.register(request))
        assert type(error) is errors.InvalidWorkflowSpec
        assert error.problems

    def test_a_wrong_schedule(self, twins: Twins) -> None:
        """Cron and zone."""
        for cron, timezone in (("61 * * * *", "UTC"), ("* * * * *", "Mars/Olympus"), ("ü", "")):
            request = a_registration().model_copy(update={"schedule": ScheduleModel(cron=cron, timezone=timezone)})
            error = twins.error(lambda api, request=request: api.register(request))  # type: ignore[misc]
            assert isinstance(error, errors.InvalidRequest)

    def test_dates_the_wrong_way_round(self, twins: Twins) -> None:
        """Are refused by the service, not by the request."""
        filters = HistoryFilters.model_validate({"start_date": "2026-01-02", "end_date": "2026-01-01"})
        assert twins.error(lambda api: api.history(filters)).problems[0].field == "end_date"

    def test_airflow_away(self, twins: Twins) -> None:
        """Nothing that needs it is accepted, and the text is the same."""
        twins.register()
        twins.each(lambda world: world.airflow.go_down())
        asked: tuple[Callable[[WorkflowApi], object], ...] = (
            lambda api: api.run(NAME),
            lambda api: api.pause(NAME, PauseRequest(reason="x")),
            lambda api: api.register(a_registration("a.b")),
        )
        for ask in asked:
            assert type(twins.error(ask)) is errors.AirflowUnavailable

    def test_the_storage_away(self, twins: Twins) -> None:
        """A registration is refused."""
        twins.each(lambda world: world.storage.go_down())
        assert type(twins.error(lambda api: api.register(a_registration()))) is errors.StorageUnavailable

    def test_no_loader_in_airflow(self, twins: Twins) -> None:
        """A registration is refused."""
        twins.each(lambda world: world.airflow.uninstall())
        assert type(twins.error(lambda api: api.register(a_registration()))) is errors.LoaderNotInstalled
