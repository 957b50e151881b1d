"""A short chaos run beside the Airflow of the test session; `make chaos` runs all of it."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from tests.chaos.crash_points import Crashing, Points, operation_of
from tests.chaos.faults import Fault, Link, Weather, storms
from tests.chaos.harness import Plan, Surroundings, run
from tests.chaos.journal import Outcome
from tests.chaos.lease_log import broken_leases
from tests.chaos.report import table
from tests.support.databases import each_port
from workflow_core.ports.airflow import AirflowPort
from workflow_core.ports.database import PORTS, Database
from workflow_core.ports.runs import RunPort
from workflow_core.ports.storage import StoragePort

SHORT = Plan(
    seed=23,
    least=20,
    most=20,
    operations=0,
    kills=0,
    every_point=False,
    clients=4,
    restarts=9,
    between_kills=5,
    stills=None,
)


@pytest.fixture
def around(airflow, s3):
    return Surroundings(
        airflow=airflow.server, s3=s3, bucket=airflow.storage_url.split("/")[2], loaders=airflow.loaders
    )


@pytest.fixture
def folder():
    """A folder outside of pytest's, because the user as whom PostgreSQL runs under root cannot enter that one."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as made:
        yield Path(made)


def test_nothing_is_lost_and_nothing_happens_twice(around, folder):
    """After twenty seconds of storms, kills and a restart of PostgreSQL under each kind of operation, all three systems
    agree.
    """
    result = run(SHORT, around, folder)
    assert result.verdict.is_clean, "\n".join([table(result), *result.verdict.lines()])
    assert result.journal.count(Outcome.ACCEPTED) >= 60
    assert result.kills >= 10
    assert result.restarts >= 1


CLAIMED = {"what": "claimed", "subject": "run:1", "epoch": 1, "at": 1.0}
BEGAN = {"what": "began", "subject": "run:1", "epoch": 1, "id": "one", "valid": 30.0, "at": 2.0}
ENDED = {"what": "ended", "subject": "run:1", "epoch": 1, "id": "one", "at": 9.0}
WROTE = {"what": "wrote", "subject": "run:1", "epoch": 1, "method": "save_run", "at": 5.0}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([CLAIMED, BEGAN, WROTE, ENDED], []),
        (
            [CLAIMED, BEGAN, {**BEGAN, "id": "two", "at": 8.0}, ENDED, {**ENDED, "id": "two", "at": 11.0}],
            ["two at a time"],
        ),
        ([CLAIMED, BEGAN, ENDED, {**BEGAN, "id": "two", "at": 9.5}, {**ENDED, "id": "two", "at": 11.0}], []),
        (
            [
                CLAIMED,
                BEGAN,
                {**BEGAN, "id": "two", "at": 31.0},
                {**ENDED, "at": 40.0},
                {**ENDED, "id": "two", "at": 41.0},
            ],
            [],
        ),
        ([CLAIMED, BEGAN, {**BEGAN, "id": "two", "at": 3.0}, ENDED], []),
        ([CLAIMED, BEGAN, {**CLAIMED, "epoch": 2, "at": 4.0}, WROTE, ENDED], ["another process had taken over"]),
        ([CLAIMED, BEGAN, WROTE, {**CLAIMED, "epoch": 2, "at": 6.0}, ENDED], []),
    ],
    ids=["alone", "two at a time", "one after the other", "stood still", "killed", "too late", "in time"],
)
def test_violations_of_leases_are_detected_from_outside(events, expected):
    """The log shows concurrent work under valid leases and writes under a lost lease; stalled and killed processes are
    not reported.
    """
    violations = broken_leases(events)
    assert [any(part in line for line in violations) for part in expected] == [True] * len(expected)
    assert len(violations) == len(expected)


def test_the_same_seed_gives_the_same_storms():
    """A failed run can be reproduced."""
    assert storms(7, 600) == storms(7, 600)
    assert storms(7, 600) != storms(8, 600)
    assert {storm.link for storm in storms(7, 60)} == set(Link)
    assert {fault for storm in storms(7, 600) for fault in storm.faults} == set(Fault)


def test_there_are_no_faults_before_the_begin_and_after_the_end():
    """The schedule applies only in between."""
    weather = Weather(1, 600)
    before = [weather.draw(link) for link in Link for _ in range(100)]
    weather.begin()
    weather._began = time.monotonic() - 20
    assert any(weather.draw(link)[0] for link in Link for _ in range(1000))
    weather.end()
    assert {fault for fault, _ in [*before, *(weather.draw(link) for link in Link)]} == {None}


def test_every_listed_read_is_a_method_of_a_port():
    """Each name in READS is an existing method, so that a renamed one is noticed."""
    from tests.chaos.crash_points import READS

    methods = {name for port in (AirflowPort, StoragePort, Database, *PORTS.values(), RunPort) for name in vars(port)}
    assert methods >= READS


def test_a_crash_point_names_the_calling_line(tmp_path):
    """A point consists of operation, place and call, is recorded once, and kills only if armed; calls outside of
    operations are not points.
    """
    from workflow_core.api import RegisterRequest
    from workflow_core.fakes import InMemoryAirflow, InMemoryDatabase, InMemoryStorage, ManualClock
    from workflow_core.service import WorkflowService

    points = Points(tmp_path / "points")
    points.prepare()
    clock, storage = ManualClock(), InMemoryStorage()
    ports: dict[str, Any] = {
        "database": InMemoryDatabase(),
        "storage": storage,
        "airflow": InMemoryAirflow(storage=storage, clock=clock, queue_seconds=1, task_seconds=5),
    }
    wrapped: dict[str, Any] = {
        name: each_port(port, lambda one: Crashing(one, "database", points))
        if name == "database"
        else Crashing(port, name, points)
        for name, port in ports.items()
    }
    service = WorkflowService(**wrapped, clock=clock)
    yaml = "version: v1\nname: a.b\nowner: o\nschedule: {cron: 0 6 1 1 *}\n"
    service.register(RegisterRequest(dataset_name="a.b", yaml_content=yaml))
    service.workflows()
    met = points.met()
    assert {operation_of(point) for point in met} == {"register"}
    put = [point.split("+")[0] + point[point.index(":storage") :] for point in met if "storage.put" in point]
    assert put == [
        "register:workflow._store:storage.put:before",
        "register:workflow._store:storage.put:after",
    ]
    assert len(met) == len(set(met))
    assert points.died() == []


def test_a_spared_process_does_not_die(tmp_path, monkeypatch):
    """An armed point stays armed for the next process, and the random killer recognizes a spared process by its guard."""
    points, dead = Points(tmp_path / "points"), []
    monkeypatch.setattr(os, "kill", lambda process, signal: dead.append((process, signal)))
    points.prepare()
    points.arm("here")
    with points.spared():
        points.reach("here")
        assert (points.is_spared(os.getppid()), points.is_spared(1)) == (True, False)
    assert (dead, points.armed(), points.is_spared(os.getppid())) == ([], {"here"}, False)
    points.reach("here")
    assert (dead, points.armed()) == ([(os.getpid(), SIGKILL)], set())
