"""Tests of backfills over HTTP: the examples of section 3.2 of the specification, their status and their control."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.http_stack import NAME, USER, Stack, http_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = f"{NAME}_backfill_20260101_20260107"
REQUEST = {"start_date": "2026-01-01", "end_date": "2026-01-07", "params": {"region": "US"}, "parallel": True}


@pytest.fixture
def stack() -> Iterator[Stack]:
    """The clock is at the day after the dates in the specification's example."""
    with http_stack() as running:
        running.clock.sleep((datetime(2026, 1, 8, 10, tzinfo=UTC) - running.clock.now()).total_seconds())
        running.register()
        yield running


def test_backfill_example_of_section_3_2(stack: Stack) -> None:
    """The request in section 3.2 of the specification gets exactly the response there."""
    answer = stack.post(f"{NAME}/backfill", REQUEST)
    assert answer.status_code == 202
    assert answer.json() == {
        "backfill_id": ID,
        "dataset_name": NAME,
        "start_date": "2026-01-01",
        "end_date": "2026-01-07",
        "run_ids": [f"{ID}_2026010{day}" for day in range(1, 8)],
        "status": "PENDING",
        "total_runs": 7,
    }
    sent = stack.airflow.changed_runs(datetime(2000, 1, 1, tzinfo=UTC)).runs
    assert sorted(run.conf["date"] for run in sent) == [f"2026-01-0{day}" for day in range(1, 8)]


def test_a_dry_run_changes_nothing_and_returns_the_plan(stack: Stack) -> None:
    """The answer is 202 with the dates, ids and conflicts that the real request would have."""
    stack.post(f"{NAME}/run", {"params": {"date": "2026-01-02"}})
    before = stack.stored()
    answer = stack.post(f"{NAME}/backfill", {**REQUEST, "end_date": "2026-01-03", "dry_run": True})
    assert answer.status_code == 202
    body = answer.json()
    assert (body["dry_run"], body["total_runs"]) == (True, 2)
    assert body["skipped"] == [{"date": "2026-01-02", "run_id": f"{NAME}_20260108_100000", "status": "PENDING"}]
    first = {
        "date": "2026-01-01",
        "run_id": f"{NAME}_backfill_20260101_20260103_20260101",
        "logical_date": "2026-01-01T06:00:00Z",
    }
    assert body["runs"][0] == first
    assert stack.stored() == before


def test_backfill_status_has_progress_and_estimate(stack: Stack) -> None:
    """The status contains each date with its run, the counts, the percentage and the estimated end."""
    stack.post(f"{NAME}/backfill", {**REQUEST, "end_date": "2026-01-02", "parallel": False})
    backfill_id = f"{NAME}_backfill_20260101_20260102"
    for _ in range(6):
        stack.clock.sleep(1)
        stack.sweeper.sweep()
    body = stack.get(f"backfills/{backfill_id}").json()
    assert body["status"] == "RUNNING"
    assert body["counts"] == {
        "PENDING": 1, "RUNNING": 0, "SUCCESS": 1, "FAILED": 0, "STOPPING": 0, "STOPPED": 0,
    }  # fmt: skip
    assert (body["percent"], body["created_by"], body["eta"]) == (50, USER, "2026-01-08T10:00:11Z")
    assert body["runs"] == [
        {
            "date": "2026-01-01",
            "run_id": f"{backfill_id}_20260101",
            "status": "SUCCESS",
            "started_at": "2026-01-08T10:00:01Z",
            "ended_at": "2026-01-08T10:00:06Z",
        },
        {
            "date": "2026-01-02",
            "run_id": f"{backfill_id}_20260102",
            "status": "PENDING",
            "started_at": None,
            "ended_at": None,
        },
    ]


def test_pause_resume_and_stop(stack: Stack) -> None:
    """Each response contains the caller, the time and the reason."""
    stack.post(f"{NAME}/backfill", {**REQUEST, "max_active": 1})
    paused = stack.post(f"backfills/{ID}/pause", {"reason": "tea"}).json()
    assert (paused["status"], paused["changed_by"], paused["reason"]) == ("PAUSED", USER, "tea")
    stack.clock.sleep(1)
    assert stack.post(f"backfills/{ID}/resume").json()["status"] == "PENDING"
    stopped = stack.post(f"backfills/{ID}/stop", {"reason": "enough"}).json()
    assert (stopped["status"], stopped["reason"], stopped["counts"]["STOPPED"]) == ("STOPPING", "enough", 6)
    refused = stack.post(f"backfills/{ID}/pause")
    assert (refused.status_code, refused.json()["code"]) == (409, "BACKFILL_NOT_ACTIVE")


def test_backfills_are_listed_page_by_page(stack: Stack) -> None:
    """The latest come first, with the total count and the Link header."""
    for day in (1, 2, 3):
        date = f"2026-01-0{day}"
        stack.post(f"{NAME}/backfill", {"start_date": date, "end_date": date})
        stack.clock.sleep(1)
    first = stack.get(f"{NAME}/backfills?limit=2")
    assert first.headers["x-total-count"] == "3"
    rest = stack.get(first.headers["link"].partition("<")[2].partition(">")[0])
    starts = [item["start_date"] for item in (*first.json(), *rest.json())]
    assert starts == ["2026-01-03", "2026-01-02", "2026-01-01"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"start_date": None}, "start_date"),
        ({"start_date": "01.01.2026"}, "start_date"),
        ({"start_date": "2026-02-30"}, "start_date"),
        ({"start_date": 20260101}, "start_date"),
        ({"start_date": "2026-01-01T00:00:00Z"}, "start_date"),
        ({"end_date": "2025-12-31"}, "end_date"),
        ({"end_date": "2026-01-09"}, "end_date"),
        ({"start_date": "2020-01-01"}, "end_date"),
        ({"max_active": 101}, "max_active"),
        ({"max_active": "2"}, "max_active"),
        ({"parallel": "yes"}, "parallel"),
        ({"reprocess": "some"}, "reprocess"),
        ({"on_failure": "cry"}, "on_failure"),
        ({"params": {"date": "2026-01-01"}}, "params.date"),
        ({"params": {"region": 5}}, "params.region"),
        ({"typo": 1}, "typo"),
    ],
)
def test_invalid_input_is_400_and_names_its_field(stack: Stack, changes: dict[str, Any], field: str) -> None:
    """Nothing is recorded."""
    before = stack.stored()
    answer = stack.post(f"{NAME}/backfill", {**REQUEST, **changes})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")
    assert field in [item.get("field") for item in answer.json()["errors"]]
    assert stack.stored() == before


def test_dates_are_required(stack: Stack) -> None:
    """Both dates and a body are required."""
    body = stack.post(f"{NAME}/backfill", {}).json()
    assert [item["field"] for item in body["errors"]] == ["start_date", "end_date"]
    assert stack.post(f"{NAME}/backfill").status_code == 400


def test_missing_resources_are_404(stack: Stack) -> None:
    """The code names the kind of resource."""
    for path in ("backfills/no.such", "backfills/no.such/pause", "backfills/no.such/resume", "backfills/no.such/stop"):
        answer = stack.post(path) if path.count("/") > 1 else stack.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "BACKFILL_NOT_FOUND")
    for answer in (stack.get("no.such/backfills"), stack.post("no.such/backfill", REQUEST)):
        assert (answer.status_code, answer.json()["code"]) == (404, "WORKFLOW_NOT_FOUND")


def test_conflicts_are_409_and_outages_503(stack: Stack) -> None:
    """A paused workflow is a conflict; while Airflow is unavailable, nothing is recorded."""
    before = stack.stored()
    stack.airflow.go_down()
    answer = stack.post(f"{NAME}/backfill", REQUEST)
    assert (answer.status_code, answer.json()["code"]) == (503, "AIRFLOW_CONNECTION_FAILED")
    stack.airflow.come_back()
    assert stack.stored() == before
    stack.post(f"{NAME}/pause")
    answer = stack.post(f"{NAME}/backfill", REQUEST)
    assert (answer.status_code, answer.json()["code"]) == (409, "WORKFLOW_PAUSED")
