"""The full comparison of database, object store and Airflow finds and repairs unrecorded drift."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.support.mirrored import ZONED, Mirrored, a_mirrored_world
from tests.support.world import DAG, NAME, a_spec
from workflow_core.domain.lease import workflow_lease_key
from workflow_core.domain.workflow import Phase, SourceType
from workflow_core.usecases.config import ServiceConfig

EVERY = ServiceConfig().compare_every


@pytest.fixture
def world() -> Mirrored:
    return a_mirrored_world()


def compared(world: Mirrored) -> int:
    """A sweep when it is time again; returns how much was mended."""
    world.sweep(2)
    world.clock.sleep(EVERY)
    mended = world.sweeper.sweep().drifts_repaired
    world.sweep(2)
    return mended


def text(world: Mirrored, name: str = NAME) -> str | None:
    raw = world.storage.raw(SourceType.MANUAL, name)
    return None if raw is None else raw.decode()


def overwrite(world: Mirrored, content: str) -> None:
    held = world.storage.stat(SourceType.MANUAL, NAME)
    assert held is not None
    world.storage.put(SourceType.MANUAL, NAME, content, expected=held.etag)


def test_where_nothing_drifted_nothing_is_changed(world):
    """However many workflows there are."""
    world.register_all(*(f"a.b{number}" for number in range(5)))
    assert compared(world) == 0


def test_a_yaml_that_is_gone_is_written_again(world):
    """And Airflow serves its DAG as before."""
    world.storage.delete(SourceType.MANUAL, NAME)
    world.airflow.withdraw(DAG)
    assert compared(world) == 1
    assert text(world) == world.database.workflows.workflow(NAME).yaml
    assert world.airflow.dag(DAG) is not None
    assert world.types() == []


@pytest.mark.parametrize("other", [a_spec(schedule=ZONED) + "# another\n", "x" * 300_000, "\0"])
def test_a_yaml_that_is_another_is_written_over(world, other):
    """Whatever it is: what was registered counts."""
    overwrite(world, other)
    assert compared(world) == 1
    assert text(world) == world.database.workflows.workflow(NAME).yaml
    assert world.types() == []


def test_a_dag_that_was_dropped_is_asked_for(world):
    """Its YAML is there, so Airflow only has to read it."""
    world.airflow.withdraw(DAG)
    assert compared(world) == 0
    assert world.airflow.dag(DAG) is not None


def test_the_yaml_of_a_workflow_that_left_is_removed(world):
    """Somebody who had stood still wrote it after the unregistration; Airflow would serve it."""
    yaml = world.database.workflows.workflow(NAME).yaml
    world.usecases.unregister(NAME)
    world.sweep(3)
    world.storage.put(SourceType.MANUAL, NAME, yaml, expected=None)
    assert compared(world) == 1
    assert text(world) is None


def test_a_yaml_of_nobody_stays(world, caplog):
    """Whoever put it there may know why; it was never registered."""
    world.storage.put(SourceType.MANUAL, "a.stranger", a_spec("a.stranger"), expected=None)
    assert compared(world) == 0
    assert text(world, "a.stranger") is not None


def test_one_that_was_registered_again_stays(world):
    """The name had been left, and is taken again."""
    world.usecases.unregister(NAME)
    world.sweep(3)
    world.register_all(NAME)
    assert compared(world) == 0
    assert text(world) is not None


def test_what_somebody_works_on_is_left_to_them(world):
    """A worker that is at it may be about to write."""
    world.storage.delete(SourceType.MANUAL, NAME)
    world.sweep(2)
    world.clock.sleep(EVERY)
    now, workflow = world.clock.now(), world.database.workflows.workflow(NAME)
    world.database.leases.acquire(
        [workflow_lease_key(workflow.id)], owner="another", at=now, until=now.replace(year=2030)
    )
    assert world.sweeper.sweep().drifts_repaired == 0
    assert text(world) is None


@pytest.mark.parametrize("phase", [Phase.REGISTERING, Phase.FAILED, Phase.UNREGISTERING])
def test_only_what_is_served_is_mended(world, phase):
    """The rest is under way, or could not be built."""
    workflow = world.database.workflows.workflow(NAME)
    world.storage.delete(SourceType.MANUAL, NAME)
    world.airflow.request_parse = lambda _: None
    world.database.workflows.save_workflow(evolve(workflow, phase=phase))
    world.clock.sleep(EVERY)
    assert world.sweeper.sweep().drifts_repaired == 0


def test_it_comes_now_and_then(world, monkeypatch):
    """A comparison lists the whole store: not in every pass, and not in that of every worker."""
    listings = []
    real = world.storage.list

    def counted(source):
        listings.append(source)
        return real(source)

    monkeypatch.setattr(world.storage, "list", counted)
    world.clock.sleep(EVERY)
    world.sweep(5)
    assert listings == [SourceType.MANUAL]


def test_a_store_that_is_away_ends_it(world):
    """The rest of the pass goes on, and so does the next comparison."""
    world.storage.delete(SourceType.MANUAL, NAME)
    world.storage.go_down()
    assert compared(world) == 0
    world.storage.come_back()
    assert compared(world) == 1
