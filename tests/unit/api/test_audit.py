"""Who has changed what: a row for each change that was accepted, over HTTP, by ``dli``, by a program and by the worker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.http_stack import NAME, USER, YAML, http_stack
from tests.unit.http.test_idempotency import BACKFILL, CHANGES, DAY, RUN, Change, backfilling, paused, registered
from workflow_core.domain.audit import Action, AuditEvent
from workflow_core.domain.caller import Caller, Via
from workflow_core.domain.facts import MAX_FACT, bounded, difference
from workflow_core.domain.workflow import SourceType
from workflow_core.ports.airflow import EndState
from workflow_entrypoints.worker import SYNC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.http_stack import Stack

ACTIONS = {
    "register": Action.REGISTER,
    "register over it": Action.REGISTER,
    "register the same": Action.REGISTER,
    "restore": Action.RESTORE,
    "run": Action.RUN,
    "stop": Action.STOP,
    "retry": Action.RETRY,
    "pause": Action.PAUSE,
    "pause again": Action.PAUSE,
    "unpause": Action.UNPAUSE,
    "unregister": Action.UNREGISTER,
    "backfill": Action.BACKFILL,
    "pause backfill": Action.PAUSE_BACKFILL,
    "resume backfill": Action.RESUME_BACKFILL,
    "stop backfill": Action.STOP_BACKFILL,
}


@pytest.fixture
def stack() -> Iterator[Stack]:
    with http_stack(queue_seconds=60, task_seconds=60) as running:
        yield running


def events(stack: Stack) -> list[AuditEvent]:
    return list(stack.usecases.audit().items)


def new_events(stack: Stack, change: Change, **headers: str) -> list[AuditEvent]:
    """What a change leaves."""
    change.before(stack)
    before = {event.id for event in events(stack)}
    assert change.send(stack, key=None, **headers).status_code < 300
    return [event for event in events(stack) if event.id not in before]


@pytest.mark.parametrize("name", ACTIONS)
def test_every_change_leaves_one_row(stack: Stack, name: str) -> None:
    """Who, what, on what, from where, and the request that the log knows."""
    (event,) = new_events(stack, CHANGES[name], **{"X-Request-ID": "req-1"})
    assert (event.action, event.who, event.via) == (ACTIONS[name], USER, Via.HTTP)
    assert (event.address, event.request_id) == ("testclient", "req-1")
    assert event.dataset_name == NAME
    assert event.at == stack.clock.now()


@pytest.mark.parametrize("name", ACTIONS)
def test_a_repeat_leaves_none(stack: Stack, name: str) -> None:
    """It changes nothing, and is answered from what is kept."""
    CHANGES[name].before(stack)
    CHANGES[name].send(stack)
    after = events(stack)
    CHANGES[name].send(stack)
    assert events(stack) == after


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        (
            "pause",
            {"status": "active", "pause_reason": None},
            {"status": "paused", "pause_reason": "r"},
        ),
        ("unpause", {"status": "paused"}, {"status": "active"}),
        ("pause again", None, None),
        ("register the same", None, None),
        ("stop", {"status": "PENDING", "stop_reason": None}, {"status": "STOPPING", "stop_reason": "ünï"}),
        (
            "retry",
            {"status": "FAILED", "retries": None, "tasks": None},
            {
                "status": "PENDING",
                "retries": 1,
                "tasks": ["aggregate_clicks", "clean", "extract", "report", "validate"],
            },
        ),
        ("run", None, {"status": "PENDING", "params": {"date": "2026-01-01"}}),
        ("unregister", {"status": "active", "phase": "served"}, {"status": "disabled", "phase": "unregistering"}),
        ("pause backfill", {"wanted": "run"}, {"wanted": "pause"}),
        ("resume backfill", {"wanted": "pause"}, {"wanted": "run"}),
        ("stop backfill", {"wanted": "run", "reason": None}, {"wanted": "stop", "reason": "x"}),
    ],
)
def test_what_changed(stack: Stack, name: str, before: Any, after: Any) -> None:
    """The entry contains the changed facts before and after, and none if nothing had to change."""
    (event,) = new_events(stack, CHANGES[name])
    assert (event.before, event.after) == (before, after)


def test_a_revision_tells_what_it_changed(stack: Stack) -> None:
    """The number and the hash of its text; the text itself is kept by revision."""
    (event,) = new_events(stack, CHANGES["register over it"])
    assert event.before is not None
    assert event.after is not None
    assert (event.before["revision"], event.after["revision"]) == (1, 2)
    assert event.before["spec_hash"] != event.after["spec_hash"]
    assert "extract" not in json.dumps([event.before, event.after])


def test_what_it_is_about(stack: Stack) -> None:
    """A run, a backfill, or the workflow alone."""
    backfilling(stack)
    stack.post(f"{NAME}/run")
    found = [(event.action, event.run_id, event.backfill_id) for event in events(stack)]
    assert sorted(found) == [
        (Action.BACKFILL, None, BACKFILL),
        (Action.REGISTER, None, None),
        (Action.RUN, RUN, None),
    ]


@pytest.mark.parametrize(
    ("before", "change"),
    [
        (paused, Change(path=f"{NAME}/run")),
        (registered, Change(path=f"{NAME}/run", body={"params": {"nope": 1}})),
        (registered, Change(path="register", body={"dataset_name": NAME, "yaml_content": YAML})),
        (registered, Change(path=f"runs/{RUN}/stop")),
        (registered, Change(path=f"{NAME}/run", body={"dry_run": True})),
        (registered, Change(path=f"{NAME}/backfill", body={**DAY, "dry_run": True})),
    ],
)
def test_what_changes_nothing_leaves_no_row(stack: Stack, before: Any, change: Change) -> None:
    """Refusals, and rehearsals."""
    before(stack)
    after = events(stack)
    change.send(stack)
    assert events(stack) == after


def test_a_library_and_dli_are_told_apart(stack: Stack) -> None:
    """By how they came; neither has an address."""
    stack.register()
    stack.usecases.pause(NAME, caller=Caller(name="me", via=Via.CLI))
    found = [(event.who, event.via, event.address, event.request_id) for event in events(stack)]
    assert sorted(found) == [("anonymous", Via.LIBRARY, None, None), ("me", Via.CLI, None, None)]


def test_a_sync_by_the_worker_tells_what_it_took_up(stack: Stack) -> None:
    """A row for each workflow that it changed, and none for having looked."""
    stack.storage.put(SourceType.CODE, "a.code", YAML.replace("daily_clicks", "code"), expected=None)
    for _ in range(2):
        stack.usecases.sync(caller=SYNC)
    (event,) = events(stack)
    assert (event.action, event.who, event.via, event.dataset_name) == (Action.PUBLISH, "sync", Via.WORKER, "a.code")
    assert event.after is not None
    assert event.after["source_type"] == "CODE"
    stack.storage.delete(SourceType.CODE, "a.code")
    stack.usecases.sync(caller=SYNC, allow_removals=True)
    assert [found.action for found in events(stack)].count(Action.WITHDRAW) == 1


def test_a_sync_that_somebody_asked_for_is_one_more_row(stack: Stack) -> None:
    """About no single workflow; what it took up is there beside it."""
    stack.storage.put(SourceType.CODE, "a.code", YAML.replace("daily_clicks", "code"), expected=None)
    stack.post("sync", {"dry_run": True})
    assert events(stack) == []
    stack.post("sync")
    found = {(event.action, event.dataset_name, event.who, event.via) for event in events(stack)}
    assert found == {(Action.SYNC, None, USER, Via.HTTP), (Action.PUBLISH, "a.code", USER, Via.HTTP)}


def test_a_pause_of_a_backfill_by_the_system_is_recorded_as_such(stack: Stack) -> None:
    """After a failure the backfill pauses until a caller resumes it."""
    backfilling(stack)
    stack.airflow.end_run(NAME.replace(".", "_"), f"{BACKFILL}_20251230", EndState.FAILED)
    stack.clock.sleep(60)
    stack.sweeper.sweep()
    stack.sweeper.sweep()
    event = events(stack)[0]
    assert (event.action, event.who, event.via) == (Action.PAUSE_BACKFILL, "system", Via.WORKER)
    assert event.after is not None
    assert "ended FAILED" in event.after["reason"]


# The list.


def test_the_list_over_http(stack: Stack) -> None:
    """Latest first, counted, with the link to the rest that keeps its filters."""
    stack.register()
    for _ in range(3):
        stack.clock.sleep(1)
        stack.post(f"{NAME}/run")
    answer = stack.get("/api/v1/audit?action=run&limit=2")
    assert answer.headers["X-Total-Count"] == "3"
    assert [item["run_id"] for item in answer.json()] == [f"{NAME}_20260101_10000{n}" for n in (3, 2)]
    rest = stack.get(answer.links["next"]["url"])
    assert [item["run_id"] for item in rest.json()] == [f"{NAME}_20260101_100001"]
    assert "action=run" in answer.links["next"]["url"]


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("since=2026-01-01", 1),
        ("since=2026-01-01T10:00:00Z", 1),
        ("since=2026-01-01T11:00:00%2B01:00", 1),
        ("since=2026-01-01T10:00:01Z", 0),
        ("until=2026-01-01", 0),
        ("until=2026-01-02", 1),
        ("who=somebody", 0),
        (f"dataset_name={NAME}", 1),
        ("dataset_name=a.b", 0),
    ],
)
def test_filters_over_http(stack: Stack, query: str, number: int) -> None:
    """Moments with any offset, and days of UTC."""
    stack.register()
    assert len(stack.get(f"/api/v1/audit?{query}").json()) == number


@pytest.mark.parametrize(
    "query",
    [
        "since=1767261600",
        "since=yesterday",
        "since=2026-02-30",
        "since=2026-01-01T10:00:00",
        "since=2026-01-02&until=2026-01-01",
        "action=nope",
        "who=",
        "dataset_name=one",
        "cursor=x",
        "limit=0",
        "x=1",
    ],
)
def test_wrong_filters_are_refused(stack: Stack, query: str) -> None:
    """400, with a finding."""
    answer = stack.get(f"/api/v1/audit?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")
    assert answer.json()["errors"]


# Facts.


def test_a_long_fact_is_cut() -> None:
    """Its beginning, and how long it was."""
    params = {"text": "x" * 5000}
    cut = bounded(params)
    assert cut.startswith('{"text": "xxx')
    assert cut.endswith(f"… ({5000 + len(json.dumps({'text': ''}))} characters)")
    assert len(cut) < MAX_FACT + 50
    assert bounded({"text": "x" * 900}) == {"text": "x" * 900}


def test_only_differences_are_told() -> None:
    """One that is new has nothing before it, and nothing that is not there."""
    assert difference({"a": 1, "b": 2}, {"a": 1, "b": 3}) == ({"b": 2}, {"b": 3})
    assert difference({"a": 1}, {"a": 1}) == (None, None)
    assert difference(None, {"a": 1, "b": None}) == (None, {"a": 1})
