"""After all kinds of changes to 200 runs, the API reports each exactly as Airflow does, without mocks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.e2e.system import System, eventually
from tests.e2e.test_truth import cleared_there, history, registered, runs_there, set_there, started_there

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

API = "/api/v1/workflows"
POOL = "e2e_mixed_held"
HEAD = """\
version: v1
name: {name}
schedule: {{cron: "{cron}", timezone: UTC}}
tasks:
"""
QUICK = (
    HEAD + "  - {{task_id: first, operator: empty}}\n  - {{task_id: second, operator: empty, dependencies: [first]}}\n"
)
BROKEN = HEAD + (
    "  - {{task_id: good, operator: empty}}\n"
    "  - {{task_id: bad, operator: bash, bash_command: \"test -e '{flag}'\", dependencies: [good]}}\n"
    "  - {{task_id: below, operator: empty, dependencies: [bad]}}\n"
)
HELD = HEAD + (
    "  - {{task_id: first, operator: empty}}\n"
    f"  - {{{{task_id: held, operator: bash, bash_command: 'true', pool: {POOL}, dependencies: [first]}}}}\n"
)
NEVER = "0 6 1 1 *"
STATUS = {"queued": "PENDING", "running": "RUNNING", "success": "SUCCESS", "failed": "FAILED"}
RUNS = 200


def test_after_a_mixed_workload_everything_is_as_airflow_has_it(system, tmp_path):
    """Ours, Airflow's own, scheduled and backfilled runs, some of them stopped, failed, retried, cleared, and marked as something else."""
    flag = tmp_path / "flag"
    quick = [f"e2e.mixed.quick_{number}" for number in range(4)]
    ticking = [f"e2e.mixed.tick_{number:02d}" for number in range(20)]
    broken, held = "e2e.mixed.broken", "e2e.mixed.held"
    _pool(system, slots=0)
    soon = datetime.now(UTC) + timedelta(seconds=80)  # at least 20 s from now, at the start of a minute
    once = f"{soon.minute} {soon.hour} {soon.day} {soon.month} *"
    at_once(lambda name: registered(system, name, QUICK, cron=once), ticking)
    at_once(lambda name: registered(system, name, QUICK, cron=NEVER), quick)
    registered(system, broken, BROKEN, cron=NEVER, flag=flag)
    registered(system, held, HELD, cron=NEVER)
    names = [*quick, *ticking, broken, held]
    dags = {name: name.replace(".", "_") for name in names}

    ours = at_once(lambda name: _run(system, name), quick * 22)
    failing = at_once(lambda name: _run(system, name), [broken] * 14)
    waiting = at_once(lambda name: _run(system, name), [held] * 16)  # as many as Airflow lets run at a time
    theirs = [(dags[name], f"theirs_{number:02d}") for name in quick for number in range(14)]
    at_once(lambda name: _start_there(system, [key for key in theirs if key[0] == dags[name]]), quick)
    dates = {"start_date": "2026-01-01", "end_date": "2026-01-06", "parallel": True}
    backfilled = system.api.post(f"{API}/{quick[0]}/backfill", json=dates).raise_for_status().json()["run_ids"]
    assert len({*ours, *failing, *waiting, *backfilled}) + len(theirs) + len(ticking) == RUNS

    _until_active(system, [name for name in names if name not in {*ticking, held}], dags, 0)
    eventually(lambda: _states(system, [dags[held]]), lambda found: found == ["running"] * 16, within=60)
    at_once(lambda run_id: _changed(system, run_id, "stop", 200), waiting[:12])
    stopped = set(waiting[4:12])
    eventually(
        lambda: {system.api.get(f"{API}/runs/{run_id}").json()["status"] for run_id in waiting[:12]},
        lambda found: found == {"STOPPED"},
        within=60,
    )
    _pool(system, slots=16)
    flag.touch()
    at_once(lambda run_id: _changed(system, run_id, "retry", 202), [*failing[:7], *waiting[:4]])
    at_once(lambda key: cleared_there(system, *key), theirs[::4])
    at_once(lambda key: set_there(system, key[0], key[1], "failed"), theirs[1::4])
    told = _all(system, quick)
    at_once(lambda run_id: cleared_there(system, dags[told[run_id]["dataset_name"]], run_id), ours[:10])
    at_once(
        lambda run_id: set_there(system, dags[told[run_id]["dataset_name"]], run_id, "failed"),
        [*ours[10:20], *backfilled[:2]],
    )
    at_once(lambda run_id: set_there(system, dags[broken], run_id, "success"), failing[7:10])
    _until_active(system, names, dags, 0, runs=RUNS)

    eventually(lambda: differences(system, dags), lambda found: not found, within=30)
    told = _all(system, names)
    assert len(told) == RUNS
    assert {run_id for run_id, run in told.items() if run["status"] == "STOPPED"} == stopped
    assert {run_id for run_id, run in told.items() if run["run_type"] == "backfill"} == set(backfilled)
    assert {run_id for run_id, run in told.items() if run["status"] == "FAILED"} >= {
        *failing[10:],
        *ours[10:20],
        *backfilled[:2],
    }
    scheduled = [run["dataset_name"] for run in told.values() if run["run_type"] == "scheduled"]
    assert sorted(scheduled) == ticking


def at_once(do: Callable[[Any], Any], subjects: Iterable[Any]) -> list[Any]:
    """Do it to each, several at a time."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(do, subjects))


def differences(system: System, dags: dict[str, str]) -> list[Any]:
    """What our API says otherwise than Airflow: each run by its status, times, type and progress, and which runs there are at all.

    A run that we stopped is a failed one there; a date of a backfill is a manual run there.
    """
    here = _all(system, dags)
    there = {(dag_id, run_id): run for dag_id in dags.values() for run_id, run in runs_there(system, dag_id).items()}
    counted = _progress(system, [(key, run["state"]) for key, run in there.items()])
    detailed = dict(zip(here, at_once(lambda run_id: system.api.get(f"{API}/runs/{run_id}").json(), here), strict=True))
    found: list[Any] = []
    unknown = dict(there)
    for run_id, run in here.items():
        status = detailed[run_id]
        key = (dags[run["dataset_name"]], unquote(status["logs_url"].replace("=", "/").rpartition("/")[2]))
        theirs = unknown.pop(key, None)
        if theirs is None:
            found.append((run_id, "is not in Airflow, or is here twice"))
            continue
        is_backfilled = run["run_type"] == "backfill"
        expected = {
            "status": "STOPPED" if status.get("stopped_by") else STATUS[theirs["state"]],
            "run_type": "backfill" if is_backfilled else theirs["run_type"],
            "started_at": _second(theirs["start_date"]),
            "ended_at": _second(theirs["end_date"]),
            "progress": counted[key],
        }
        in_history, alone = run | {"progress": counted[key]}, status | {"run_type": expected["run_type"]}
        said = [{field: told.get(field) for field in expected} for told in (in_history, alone)]
        found += [(run_id, one, expected) for one in said if one != expected]
    return found + [(*key, "is not here") for key in unknown]


def _pool(system: System, *, slots: int) -> None:
    """Make the pool without a slot, or give it some."""
    pool = {"name": POOL, "slots": slots, "description": "", "include_deferred": False}
    method, path = ("PATCH", f"/pools/{POOL}") if slots else ("POST", "/pools")
    system.airflow.request(method, path, json=pool).raise_for_status()


def _start_there(system: System, keys: list[tuple[str, str]]) -> None:
    """In turn: Airflow 2.11 gives each run the moment of its start as its date, and no date twice."""
    for dag_id, run_id in keys:
        started_there(system, dag_id, run_id)


def _run(system: System, name: str) -> str:
    answer = system.api.post(f"{API}/{name}/run")
    assert answer.status_code == 202, answer.text
    return str(answer.json()["run_id"])


def _changed(system: System, run_id: str, how: str, expected: int) -> None:
    answer = system.api.post(f"{API}/runs/{run_id}/{how}")
    assert answer.status_code == expected, answer.text


def _all(system: System, names: Iterable[str]) -> dict[str, Any]:
    return {run_id: run for name in names for run_id, run in history(system, name).items()}


def _states(system: System, dag_ids: Iterable[str]) -> list[str]:
    return [run["state"] for dag_id in dag_ids for run in runs_there(system, dag_id).values()]


def _until_active(
    system: System, names: list[str], dags: dict[str, str], wanted: int, *, runs: int | None = None
) -> None:
    """Wait until this number of their runs is active in Airflow, and there are ``runs`` in all."""

    def seen() -> tuple[int, int]:
        states = _states(system, [dags[name] for name in names])
        return sum(state not in {"success", "failed"} for state in states), len(states)

    eventually(seen, lambda found: found[0] == wanted and runs in {None, found[1]}, within=180)


def _progress(system: System, runs: list[tuple[tuple[str, str], str]]) -> dict[tuple[str, str], dict[str, Any]]:
    """The tasks of each run as Airflow has them, counted. Thirty runs at a time: all their tasks fit into a page."""
    states: dict[tuple[str, str], list[str]] = {key: [] for key, _ in runs}
    keys = sorted(states)
    for start in range(0, len(keys), 30):
        some = keys[start : start + 30]
        body = {"dag_ids": sorted({one for one, _ in some}), "dag_run_ids": [one for _, one in some], "page_limit": 100}
        answer = system.airflow.post("/dags/~/dagRuns/~/taskInstances/list", json=body).raise_for_status().json()
        assert answer["total_entries"] == len(answer["task_instances"])
        for task in answer["task_instances"]:
            key = (task["dag_id"], task["dag_run_id"])
            if key in some:
                states[key].append(task["state"])
    return {
        key: {
            "total_tasks": len(found),
            "completed_tasks": sum(state in {"success", "skipped"} for state in found),
            "failed_tasks": sum(state in {"failed", "upstream_failed"} for state in found),
            "current_task": None,
        }
        for key, found in states.items()
    }


def _second(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
