"""Tests of ``Idempotency-Key`` over HTTP: each key has one effect and one response, even if the process dies in
between.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import frozen
from litestar.testing import TestClient

from tests.support.databases import each_port
from tests.support.http_stack import NAME, TEN, USER, YAML, http_stack
from workflow_core.domain.act import Action
from workflow_core.domain.filters import HistoryFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import DatabaseUnavailable
from workflow_core.ports.airflow import EndState
from workflow_core.service import WorkflowService
from workflow_entrypoints.http import create_app
from workflow_entrypoints.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from httpx import Response

    from tests.support.http_stack import Stack

DAY: Final = {"start_date": "2025-12-30", "end_date": "2025-12-31"}
REGISTRATION: Final = {"dataset_name": NAME, "yaml_content": YAML}
NEXT: Final = {**REGISTRATION, "yaml_content": YAML.replace("extract", "take"), "force": True}
RUN: Final = f"{NAME}_20260101_100000"
BACKFILL: Final = f"{NAME}_backfill_20251230_20251231"


@pytest.fixture
def stack() -> Iterator[Stack]:
    with http_stack(queue_seconds=60, task_seconds=60) as running:
        yield running


@frozen(kw_only=True)
class Change:
    """A request that changes something, and the state it requires."""

    method: str = "POST"
    path: str
    body: Any = None
    before: Callable[[Stack], object] = lambda _: None

    def send(self, stack: Stack, key: str | None = "k", **headers: str) -> Response:
        given: dict[str, Any] = {"headers": {**({"Idempotency-Key": key} if key else {}), **headers}}
        if self.body is not None:
            given["json"] = self.body
        return stack.call(self.method, self.path, **given)


def registered(stack: Stack) -> None:
    stack.register()


def revised(stack: Stack) -> None:
    stack.register()
    stack.post("register", NEXT)


def paused(stack: Stack) -> None:
    stack.register()
    stack.usecases.pause(NAME)


def running(stack: Stack) -> None:
    stack.register()
    stack.usecases.run(NAME)


def ended(stack: Stack) -> None:
    running(stack)
    stack.airflow.end_run(NAME.replace(".", "_"), RUN, EndState.FAILED)
    stack.usecases.status(RUN)


def backfilling(stack: Stack) -> None:
    stack.register()
    stack.post(f"{NAME}/backfill", DAY)


def held(stack: Stack) -> None:
    backfilling(stack)
    stack.usecases.pause_backfill(BACKFILL)


def published(stack: Stack) -> None:
    stack.storage.put(SourceType.CODE, "a.code", YAML.replace("daily_clicks", "code"), expected=None)


CHANGES: Final[dict[str, Change]] = {
    "register": Change(path="register", body=REGISTRATION),
    "register over it": Change(path="register", body=NEXT, before=registered),
    "register the same": Change(path="register", body={**REGISTRATION, "force": True}, before=registered),
    "restore": Change(path=f"{NAME}/revisions/1/restore", before=revised),
    "run": Change(path=f"{NAME}/run", body={"params": {"date": "2026-01-01"}}, before=registered),
    "stop": Change(path=f"runs/{RUN}/stop", body={"reason": "ünï"}, before=running),
    "retry": Change(path=f"runs/{RUN}/retry", body={"only_failed": False}, before=ended),
    "pause": Change(path=f"{NAME}/pause", body={"reason": "r"}, before=registered),
    "pause again": Change(path=f"{NAME}/pause", before=paused),
    "unpause": Change(path=f"{NAME}/unpause", before=paused),
    "unregister": Change(method="DELETE", path=NAME, before=registered),
    "backfill": Change(path=f"{NAME}/backfill", body=DAY, before=registered),
    "pause backfill": Change(path=f"backfills/{BACKFILL}/pause", before=backfilling),
    "resume backfill": Change(path=f"backfills/{BACKFILL}/resume", before=held),
    "stop backfill": Change(path=f"backfills/{BACKFILL}/stop", body={"reason": "x"}, before=backfilling),
    "sync": Change(path="sync", before=published),
}
every_change: Final = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


def facts(stack: Stack) -> Any:
    """The content of the three systems, without what a read may change."""
    workflows = [
        (one.dataset_name, one.phase, one.pause, one.revision, one.version, one.removal)
        for one in stack.database.store.workflows.values()
    ]
    runs = [
        (run.run_id, run.status, run.submission, run.stop, run.retry and run.retry.number)
        for run in stack.database.workflows.history(HistoryFilter(), PageRequest(limit=500)).items
    ]
    return workflows, runs, sorted(stack.database.store.backfills), stack.stored()[2:]


@every_change
def test_a_repeated_request_gets_the_stored_response(stack: Stack, change: Change) -> None:
    """The response has the same status and bytes and is marked as a replay, and nothing is changed again."""
    change.before(stack)
    first = change.send(stack)
    assert first.status_code < 300
    assert "Idempotency-Replayed" not in first.headers
    after = facts(stack)
    again = change.send(stack)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert facts(stack) == after


@every_change
def test_a_key_does_not_change_the_response(change: Change) -> None:
    """The response with a key equals the one without."""
    bodies = []
    for key in (None, "k"):
        with http_stack(queue_seconds=60, task_seconds=60) as stack:
            change.before(stack)
            bodies.append(change.send(stack, key=key).content)
    assert bodies[0] == bodies[1]


@every_change
def test_another_request_with_the_same_key_is_rejected(stack: Stack, change: Change) -> None:
    """Any difference in the request is answered with 422, and nothing is changed."""
    change.before(stack)
    change.send(stack)
    after = facts(stack)
    for name, other in CHANGES.items():
        if other != change:
            answer = other.send(stack)
            # a request that is invalid regardless of its key gets its usual error, before anything is recorded
            assert answer.status_code >= 400, name
            assert answer.json()["code"] == "IDEMPOTENCY_KEY_REUSED", name
    assert facts(stack) == after


# Which requests are the same.


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        (f"{NAME}/run", {"params": {"region": "US"}}, {}),
        (f"{NAME}/run", {}, {}),
        (f"{NAME}/pause", None, {}),
        ("register", {**NEXT, "force": False}, {"If-Match": '"1"'}),
    ],
)
def test_a_key_identifies_one_request(stack: Stack, path: str, body: Any, headers: dict[str, str]) -> None:
    """Another body, route or precondition is another request."""
    stack.register()
    stack.post(f"{NAME}/run", {"params": {"region": "EU"}}, headers={"Idempotency-Key": "k"})
    answer = stack.post(path, body, headers={"Idempotency-Key": "k", **headers})
    assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_another_workflow_is_another_request(stack: Stack) -> None:
    """The name in the path is part of the request."""
    stack.register()
    stack.register("a.other")
    stack.post(f"{NAME}/run", headers={"Idempotency-Key": "k"})
    assert stack.post("a.other/run", headers={"Idempotency-Key": "k"}).status_code == 422


def test_another_query_is_another_request(stack: Stack) -> None:
    """The query is part of the request."""
    stack.register()
    stack.call("DELETE", NAME, headers={"Idempotency-Key": "k"})
    assert stack.call("DELETE", f"{NAME}?force=true", headers={"Idempotency-Key": "k"}).status_code == 422


@pytest.mark.parametrize("precondition", ['"1"', '"2"'])
def test_another_revision_is_another_request(stack: Stack, precondition: str) -> None:
    """If-Match is part of the request."""
    stack.register()
    change = Change(path="register", body=NEXT)
    assert change.send(stack, **{"If-Match": '"1"'}).status_code == 201
    again = change.send(stack, **{"If-Match": precondition})
    assert again.status_code == (201 if precondition == '"1"' else 422)


@pytest.mark.parametrize(
    "text",
    [
        '{"params": {"region": "EU", "date": "2026-01-01"}}',
        ' {"dry_run":false, "params": {"date":"2026-01-01","region":"\\u0045U"} }',
    ],
)
def test_the_formatting_of_a_body_makes_no_difference(stack: Stack, text: str) -> None:
    """The order of fields, whitespace, escapes and explicit defaults are ignored."""
    stack.register()
    first = stack.post(
        f"{NAME}/run", {"params": {"date": "2026-01-01", "region": "EU"}}, headers={"Idempotency-Key": "k"}
    )
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    assert stack.post(f"{NAME}/run", content=text, headers=headers).content == first.content


def test_a_missing_body_equals_an_empty_one(stack: Stack) -> None:
    """This applies to routes whose body is optional."""
    stack.register()
    first = stack.post(f"{NAME}/run", headers={"Idempotency-Key": "k"})
    assert stack.post(f"{NAME}/run", {}, headers={"Idempotency-Key": "k"}).content == first.content


def test_keys_belong_to_their_caller(stack: Stack) -> None:
    """Another caller with the same key makes another request."""
    stack.register()
    stack.post(f"{NAME}/run", headers={"Idempotency-Key": "k"})
    app = create_app(stack.service, Settings(user="somebody.else@example.com"))
    with TestClient(app) as other:
        answer = other.post(f"/api/v1/workflows/{NAME}/run", headers={"Idempotency-Key": "k"})
    assert answer.json()["triggered_by"] == "somebody.else@example.com"
    assert answer.json()["run_id"] == f"{RUN}_2"


def test_without_a_key_each_request_is_separate(stack: Stack) -> None:
    """Each request has its effect."""
    stack.register()
    ids = [stack.post(f"{NAME}/run").json()["run_id"] for _ in range(2)]
    assert ids == [RUN, f"{RUN}_2"]


# Invalid keys.


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "a\tb", "x" * 256, "\x7f"])
def test_an_invalid_key_is_rejected(stack: Stack, key: str) -> None:
    """The answer is 400 and names the header, and nothing is changed."""
    stack.register()
    answer = stack.post(f"{NAME}/run", headers={"Idempotency-Key": key.encode()})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "Idempotency-Key")
    assert stack.get("history").json() == []


def test_two_keys_are_rejected(stack: Stack) -> None:
    """The service cannot know which of the two is intended."""
    stack.register()
    answer = stack.post(f"{NAME}/run", headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    assert answer.status_code == 400


@pytest.mark.parametrize("key", ["!", "~" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "a,b;c=d"])
def test_every_visible_ascii_text_is_a_key(stack: Stack, key: str) -> None:
    """A quoted text, as in a structured field, is also a key."""
    stack.register()
    answers = [stack.post(f"{NAME}/run", headers={"Idempotency-Key": key}).json() for _ in range(2)]
    assert answers[0] == answers[1]


def test_reads_ignore_the_key(stack: Stack) -> None:
    """A GET changes nothing, so that its key is not read."""
    stack.register()
    for key in ("k", "k", "no key"):
        answer = stack.get(NAME, headers={"Idempotency-Key": key})
        assert answer.status_code == 200
        assert "Idempotency-Replayed" not in answer.headers


# What is stored, and for how long.


def test_a_rejection_is_not_stored(stack: Stack) -> None:
    """The request is accepted once the conflict is resolved."""
    paused(stack)
    run = Change(path=f"{NAME}/run")
    assert run.send(stack).json()["code"] == "WORKFLOW_PAUSED"
    stack.usecases.unpause(NAME)
    assert run.send(stack).status_code == 202


@every_change
def test_a_failure_before_the_record_is_not_stored(stack: Stack, change: Change) -> None:
    """The answer is 503, and the same request succeeds when the database is available again."""
    change.before(stack)
    stack.database.go_down()
    assert change.send(stack).status_code == 503
    stack.database.come_back()
    answer = change.send(stack)
    assert answer.status_code < 300
    assert "Idempotency-Replayed" not in answer.headers


def test_a_stored_response_does_not_depend_on_the_current_state(stack: Stack) -> None:
    """The response is repeated while the workflow is paused and while Airflow is unavailable."""
    stack.register()
    run = Change(path=f"{NAME}/run")
    first = run.send(stack)
    stack.usecases.pause(NAME)
    assert run.send(stack).content == first.content
    stack.airflow.go_down()
    assert run.send(stack).content == first.content


def test_a_dry_run_does_not_use_the_key(stack: Stack) -> None:
    """A dry run changes nothing, so that no response is stored, and the key is free for the real request."""
    stack.register()
    for _ in range(2):
        answer = stack.post(f"{NAME}/run", {"dry_run": True}, headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["dry_run"]) == (202, True)
    answer = stack.post(f"{NAME}/run", headers={"Idempotency-Key": "k"})
    assert "Idempotency-Replayed" not in answer.headers


@pytest.mark.parametrize("path", [f"{NAME}/run", f"{NAME}/backfill", "sync"])
def test_a_dry_run_does_not_get_a_stored_response(stack: Stack, path: str) -> None:
    """A dry run with the key of an earlier request returns its own result; the stored response is unchanged."""
    stack.register()
    first = stack.post(f"{NAME}/pause", headers={"Idempotency-Key": "k"})
    stack.usecases.unpause(NAME)
    body = {"dry_run": True, **(DAY if "backfill" in path else {})}
    answer = stack.post(path, body, headers={"Idempotency-Key": "k"})
    assert answer.json() == stack.post(path, body).json() != first.json()
    assert stack.post(f"{NAME}/pause", headers={"Idempotency-Key": "k"}).content == first.content


def test_a_key_is_purged_after_a_day(stack: Stack) -> None:
    """The worker's sweep purges it, and not before a day has passed."""
    stack.register()
    run = Change(path=f"{NAME}/run")
    run.send(stack)
    stack.clock.sleep(86_400)
    assert stack.sweeper.sweep().keys_purged == 0
    assert run.send(stack).headers["Idempotency-Replayed"] == "true"
    stack.clock.sleep(1)
    assert stack.sweeper.sweep().keys_purged == 1
    assert run.send(stack).json()["run_id"] != RUN


# Requests that end without a response.


def test_a_concurrent_request_with_the_key_is_409(stack: Stack) -> None:
    """While the first request with the key is in progress, a second one gets 409 with Retry-After."""
    stack.register()
    run = Change(path=f"{NAME}/run")
    inner: list[Response] = []
    trigger = stack.airflow.trigger

    def repeat_inside(*given: Any, **named: Any) -> Any:
        stack.airflow.trigger = trigger  # type: ignore[method-assign]
        inner.append(run.send(stack))
        return trigger(*given, **named)

    stack.airflow.trigger = repeat_inside  # type: ignore[method-assign]
    first = run.send(stack)
    assert (inner[0].status_code, inner[0].json()["code"]) == (409, "IDEMPOTENCY_KEY_IN_USE")
    assert inner[0].headers["Retry-After"] == "1"
    assert run.send(stack).content == first.content
    assert len(stack.get("history").json()) == 1


def test_a_recorded_request_is_never_answered_with_503(stack: Stack) -> None:
    """If the database fails briefly after the run was recorded, the response reports the recorded run."""
    stack.register()
    run = Change(path=f"{NAME}/run")
    stack.database.fail("save_run")
    first = run.send(stack)
    assert (first.status_code, first.json()["run_id"]) == (202, RUN)
    assert run.send(stack).content == first.content


def test_a_response_that_cannot_be_stored_is_still_returned(stack: Stack) -> None:
    """The request succeeds, and a later request with the key gets a response from the recorded state."""
    stack.register()
    run = Change(path=f"{NAME}/run")
    stack.database.fail("store_response")
    first = run.send(stack)
    assert first.status_code == 202
    stack.clock.sleep(60)
    again = run.send(stack)
    assert (again.json()["run_id"], again.headers["Idempotency-Replayed"]) == (RUN, "true")


def test_the_first_stored_response_wins(stack: Stack) -> None:
    """If a request is so slow that its repeat was answered from the record, it returns the response of the repeat."""
    stack.register()
    run = Change(path=f"{NAME}/run")
    inner: list[Response] = []
    trigger = stack.airflow.trigger

    def late(*given: Any, **named: Any) -> Any:
        stack.airflow.trigger = trigger  # type: ignore[method-assign]
        stack.clock.sleep(60)
        inner.append(run.send(stack))
        return trigger(*given, **named)

    stack.airflow.trigger = late  # type: ignore[method-assign]
    first = run.send(stack)
    assert inner[0].status_code == 202
    assert first.content == inner[0].content


class ProcessDeath(Exception):
    """The end of a process, which no code of the project catches."""


class MortalPorts:
    """Ports that raise ProcessDeath at the ``at``-th call of any method, before or after the call."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at = at
        self.after = after
        self.calls = 0

    def __call__(self, port: Any) -> Any:
        life = self

        class Port:
            def __getattr__(self, name: str) -> Any:
                found = getattr(port, name)
                return life.wrapped(found) if callable(found) else found

        return Port()

    def wrapped(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any, **named: Any) -> Any:
            mine = self.calls
            self.calls += 1
            if mine > self.at or (mine == self.at and not self.after):
                raise ProcessDeath
            answer = method(*given, **named)
            if mine == self.at:
                raise ProcessDeath
            return answer

        return called


def mortal_service(stack: Stack, life: MortalPorts) -> WorkflowService:
    return WorkflowService(
        database=each_port(stack.database, life),
        airflow=life(stack.airflow),
        storage=life(stack.storage),
        clock=stack.clock,
    )


class CurrentService:
    """Delegates to the service that is currently running."""

    alive: WorkflowService

    def run_versions(self, run_ids: Any) -> Any:
        """The application calls this method before there is a service."""
        return self.alive.run_versions(run_ids)

    def now(self) -> Any:
        """The application calls this method before there is a service."""
        return self.alive.now()

    def breaker_state(self) -> Any:
        """The application calls this method before there is a service."""
        return self.alive.breaker_state()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.alive, name)


NEVER: Final = 10_000


@every_change
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_death_at_any_point_leaves_one_effect(change: Change, after: bool) -> None:
    """The process dies at each port call in turn; the repeated requests get one response, and the change happens once."""
    service: Any = CurrentService()
    with TestClient(create_app(service, Settings(user=USER)), raise_server_exceptions=False) as client:

        def world() -> Stack:
            with http_stack(queue_seconds=100_000, client=client) as made:
                service.alive = made.service
                change.before(made)
            return made

        def effects(of: Stack) -> Any:
            service.alive = of.service
            for _ in range(3):
                of.clock.sleep(200)
                of.sweeper.sweep()
            kept = of.database.store.workflows.values()
            workflows = [(one.dataset_name, one.phase, one.revision, one.pause is None) for one in kept]
            runs = of.database.workflows.history(HistoryFilter(), PageRequest(limit=500)).items
            states = [(run.run_type, run.status, run.stop is None, run.retry and run.retry.number) for run in runs]
            there = len(list(of.airflow.changed_runs(TEN - timedelta(days=9999)).runs))
            # a sync that died is repeated, and so is its report, because it lists the store a second time
            asked = sorted(event.action for event in of.database.store.events if event.action is not Action.SYNC)
            return (
                workflows,
                sorted(map(str, states)),
                there,
                len(of.database.store.backfills),
                len(of.database.store.keys),
                asked,
            )

        whole = world()
        life = MortalPorts(NEVER, after=False)
        service.alive = mortal_service(whole, life)
        assert change.send(whole).status_code < 300
        expected, points = effects(whole), life.calls
        assert points > 1
        for point in range(points):
            broken = world()
            service.alive = mortal_service(broken, MortalPorts(point, after=after))
            assert change.send(broken).status_code == 500, point
            service.alive = broken.service
            broken.clock.sleep(60)
            first, second = change.send(broken), change.send(broken)
            assert first.status_code < 300, (point, first.text)
            assert second.content == first.content
            assert second.headers["Idempotency-Replayed"] == "true"
            assert effects(broken) == expected, point


def test_an_unreadable_key_leaves_the_outcome_unknown(stack, monkeypatch):
    """If the database fails when a request is repeated, the response does not claim that nothing was recorded."""
    stack.register()
    key = {"Idempotency-Key": "k"}
    assert stack.post(f"{NAME}/run", {}, headers=key).status_code == 202
    monkeypatch.setattr(stack.database.idempotency, "key_record", _away)
    again = stack.post(f"{NAME}/run", {}, headers=key)
    assert (again.status_code, again.json()["code"]) == (503, "DATABASE_OUTCOME_UNKNOWN")


def test_a_failure_before_the_record_is_reported_as_not_recorded(stack, monkeypatch):
    """A request that fails before its record is reported as certainly not recorded."""
    stack.register()
    monkeypatch.setattr(stack.database.workflows, "add_run", _away)
    monkeypatch.setattr(stack.database.idempotency, "key_record", _away)
    answer = stack.post(f"{NAME}/run", {}, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (503, "DATABASE_UNAVAILABLE")


def _away(*_given: object, **_named: object) -> None:
    raise DatabaseUnavailable("away")
