"""Backfills on the real stack, without mocks: the tasks write which dates ran, in which order and for which logical
date.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.system import eventually

if TYPE_CHECKING:
    from pathlib import Path

SPEC = """\
version: v1
name: {name}
schedule: {{cron: "0 6 * * *", timezone: Asia/Tokyo}}
params: {{region: none}}
tasks:
  - task_id: note
    operator: bash
    bash_command: |
      echo "{{{{ run_date() }}}} {{{{ logical_date.isoformat() }}}} $REGION" >> "{log}"
      test "{{{{ run_date() }}}}" != "{bad}"
    env: {{REGION: "{{{{ params.region }}}}"}}
    append_env: true
"""
WEEK = {"start_date": "2026-01-01", "end_date": "2026-01-07"}
DATES = [f"2026-01-0{day}" for day in range(1, 8)]
# 06:00 in Tokyo is 21:00 of the day before in UTC
LOGICAL = [f"{day}T21:00:00+00:00" for day in ["2025-12-31", *DATES[:6]]]


@pytest.fixture
def noting(system, tmp_path):
    """A function that registers a workflow whose task logs its dates and fails for a bad one; and the path of the log."""

    def register(name, bad="never"):
        log = tmp_path / f"{name}.log"
        answer = system.register(name, SPEC.format(name=name, log=log, bad=bad))
        assert answer.status_code == 201, answer.text
        assert answer.json()["status"] == "active"
        return log

    return register


def accepted(system: Any, name: str, **request: Any) -> Any:
    answer = system.api.post(f"/api/v1/workflows/{name}/backfill", json={**WEEK, **request})
    assert answer.status_code == 202, answer.text
    return answer.json()


def rested(system: Any, backfill_id: str, *statuses: str) -> Any:
    """The backfill, once it has one of these statuses."""
    return eventually(
        lambda: system.api.get(f"/api/v1/workflows/backfills/{backfill_id}").json(),
        lambda found: found["status"] in statuses,
        within=150,
    )


def lines(log: Path) -> list[tuple[str, ...]]:
    return [tuple(line.split()) for line in log.read_text().splitlines()]


def in_airflow(system: Any, name: str, run_ids: list[str]) -> list[Any]:
    dag = name.replace(".", "_")
    return [system.airflow.get(f"/dags/{dag}/dagRuns/{run_id}").json() for run_id in run_ids]


def test_a_week_in_parallel(system, noting):
    """Seven dates run in parallel: each exactly once, with its date, its logical date and an empty data interval."""
    name = "e2e.backfill.parallel"
    log = noting(name)
    answer = accepted(system, name, parallel=True, params={"region": "US"})
    assert (answer["backfill_id"], answer["total_runs"]) == (f"{name}_backfill_20260101_20260107", 7)
    assert answer["status"] in {"PENDING", "RUNNING"}  # a run may have started before the answer
    done = rested(system, answer["backfill_id"], "SUCCESS", "FAILED", "PAUSED")
    assert (done["status"], done["percent"], done["counts"]["SUCCESS"], done["eta"]) == ("SUCCESS", 100, 7, None)
    assert [run["date"] for run in done["runs"]] == DATES
    assert all(run["started_at"] and run["ended_at"] >= run["started_at"] for run in done["runs"])
    expected = [(day, moment, "US") for day, moment in zip(DATES, LOGICAL, strict=True)]
    assert sorted(lines(log)) == expected
    for run, moment in zip(in_airflow(system, name, answer["run_ids"]), LOGICAL, strict=True):
        found = {run[field].replace("Z", "+00:00") for field in ("data_interval_start", "data_interval_end")}
        assert (run["state"], found) == ("success", {moment})
    history = system.api.get("/api/v1/workflows/history", params={"dataset_name": name}).json()
    assert {run["run_type"] for run in history} == {"backfill"}


def test_a_week_in_sequence_with_a_failing_day(system, noting):
    """The backfill pauses after the failure and before later dates; resumed, it continues with the next date, and each
    date ran once, in order.
    """
    name = "e2e.backfill.sequence"
    log = noting(name, bad="2026-01-04")
    backfill_id = accepted(system, name)["backfill_id"]
    paused = rested(system, backfill_id, "PAUSED", "SUCCESS", "FAILED")
    assert (paused["status"], paused["counts"]["FAILED"], paused["counts"]["PENDING"]) == ("PAUSED", 1, 3)
    assert f"{backfill_id}_20260104" in paused["reason"]
    assert [day for day, *_ in lines(log)] == DATES[:4]
    resumed = system.api.post(f"/api/v1/workflows/backfills/{backfill_id}/resume")
    assert (resumed.status_code, resumed.json()["changed_by"]) == (200, "user@example.com")
    done = rested(system, backfill_id, "FAILED", "SUCCESS")
    assert (done["status"], done["counts"]["SUCCESS"]) == ("FAILED", 6)
    assert [(day, moment) for day, moment, _ in lines(log)] == list(zip(DATES, LOGICAL, strict=True))
    # the same request fills the failed date
    again = accepted(system, name, reprocess="failed", dry_run=True)
    assert [run["date"] for run in again["runs"]] == ["2026-01-04"]
    assert len(again["skipped"]) == 6


def test_two_backfills_of_one_workflow_at_once(system, noting):
    """Two backfills of the same dates with other params: each date runs once for each, the second one microsecond
    later, and existing runs are unchanged.
    """
    name = "e2e.backfill.twice"
    log = noting(name)
    first = accepted(system, name, end_date="2026-01-03", parallel=True, params={"region": "EU"})
    second = accepted(system, name, end_date="2026-01-03", reprocess="all", run_backwards=True, params={"region": "US"})
    for one in (first, second):
        assert rested(system, one["backfill_id"], "SUCCESS", "FAILED", "PAUSED")["status"] == "SUCCESS"
    found = lines(log)
    assert Counter((day, region) for day, _, region in found) == Counter(
        (day, region) for day in DATES[:3] for region in ("EU", "US")
    )
    moved = [moment.replace(":00+", ":00.000001+") for moment in LOGICAL[:3]]
    assert [moment for _, moment, region in found if region == "US"] == moved[::-1]
    assert sorted(moment for _, moment, region in found if region == "EU") == LOGICAL[:3]


def test_the_command_line_and_the_worker_drive_one_backfill_together(system, noting):
    """`dli` follows in a separate process beside the server's worker: each date still runs once, with at most two at a
    time.
    """
    name = "e2e.backfill.dli"
    log = noting(name)
    days = ("--start-date", "2026-01-01", "--end-date", "2026-01-05")
    done = system.dli_json("workflow", "backfill", name, *days, "--parallel", "--max-active", "2", "--wait")
    assert (done["status"], done["counts"]["SUCCESS"]) == ("SUCCESS", 5)
    assert sorted(day for day, *_ in lines(log)) == DATES[:5]
    spans = [(run["started_at"], run["ended_at"]) for run in done["runs"]]
    assert all(sum(begin <= start < end for begin, end in spans) <= 2 for start, _ in spans)
    assert system.dli_json("backfill", "list", name)[0]["backfill_id"] == done["backfill_id"]


def test_a_stopped_backfill_skips_the_remaining_dates(system, noting):
    """Dates that were not submitted never reach Airflow; afterwards, the same request fills the rest."""
    name = "e2e.backfill.stopped"
    log = noting(name)
    answer = accepted(system, name)
    backfill_id = answer["backfill_id"]
    stopped = system.api.post(f"/api/v1/workflows/backfills/{backfill_id}/stop", json={"reason": "enough"}).json()
    assert stopped["counts"]["STOPPED"] >= 6
    done = rested(system, backfill_id, "STOPPED", "SUCCESS", "FAILED")
    assert done["status"] == "STOPPED"
    assert [run.get("dag_run_id") for run in in_airflow(system, name, answer["run_ids"][1:])] == [None] * 6
    assert {day for day, *_ in (lines(log) if log.exists() else [])} <= {DATES[0]}
    again = accepted(system, name, end_date="2026-01-03", dry_run=True)
    assert {"2026-01-02", "2026-01-03"} <= {run["date"] for run in again["runs"]}
