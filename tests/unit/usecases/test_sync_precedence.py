"""Sync CODE workflows: CODE over MANUAL, removals and the guards against them, and several at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from tests.support.code import BROKEN, CI, a_synced_world, told
from tests.support.world import ME, NAME
from workflow_core.domain.filters import WorkflowFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.run import RunStatus
from workflow_core.domain.workflow import Phase, SourceType, WorkflowStatus
from workflow_core.errors import StorageUnavailable, WorkflowPermissionDenied
from workflow_core.usecases.config import CodeExecution

if TYPE_CHECKING:
    from workflow_core.domain.code import SyncReport


@pytest.fixture
def make_world():
    return a_synced_world


@pytest.fixture
def world(make_world):
    return make_world()


class TestOverridden:
    def test_code_takes_the_place_of_manual_and_gives_it_back(self, world):
        """The MANUAL file is kept; who registered it, and its pause, come back with it."""
        manual = world.register_manual()
        world.publish(NAME)
        assert told(world.sync()) == {"overridden": [NAME]}
        code = world.found()
        assert (code.id, code.source_type, code.overridden, code.phase) == (
            manual.id,
            SourceType.CODE,
            True,
            Phase.SERVED,
        )
        assert (code.owner, code.registered_by, world.owner_served()) == ("ci@example.com", "ci", "CODE")
        assert world.storage.raw(SourceType.MANUAL, NAME) == manual.yaml.encode()
        world.withdraw(NAME)
        assert told(world.sync(allow_removals=True)) == {"restored": [NAME]}
        back = world.found()
        same = ("id", "source_type", "spec", "yaml", "s3_path", "schedule", "owner", "registered_by", "registered_at")
        assert [getattr(back, name) for name in same] == [getattr(manual, name) for name in same]
        assert (back.overridden, back.phase, world.owner_served()) == (False, Phase.SERVED, "MANUAL")

    def test_a_registration_that_is_under_way_is_shadowed(self, world):
        """Its file may not be there yet: it is written when the workflow comes back."""
        manual = world.register_manual()
        world.storage.delete(SourceType.MANUAL, NAME)  # as if the request had died before it wrote
        world.database.workflows.save_workflow(evolve(manual, phase=Phase.REGISTERING))
        world.publish(NAME)
        assert told(world.sync()) == {"overridden": [NAME]}
        assert world.storage.raw(SourceType.MANUAL, NAME) is None
        world.withdraw(NAME)
        world.sync(allow_removals=True)
        assert world.storage.raw(SourceType.MANUAL, NAME) == manual.yaml.encode()
        assert world.owner_served() == "MANUAL"

    def test_a_manual_one_that_is_being_unregistered_goes_first(self, world):
        """After the unregistration the name is free, and CODE becomes a separate workflow."""
        manual = world.register_manual()
        world.airflow.go_down()
        world.database.workflows.retire_workflow(manual.unregistering("me", world.clock.now()), force=False)
        world.publish(NAME)
        assert told(world.sync(settle=False)) == {"guarded": [[NAME]]}
        world.airflow.come_back()
        world.settle()
        assert told(world.sync()) == {"added": [NAME]}
        assert (world.found().id != manual.id, world.found().overridden) == (True, False)
        assert world.airflow.dag(NAME.replace(".", "_")).is_paused is False

    def test_broken_code_over_manual_is_broken(self, world):
        """The loader serves CODE, broken or not: the MANUAL workflow must not be said to run; it comes back when CODE goes."""
        world.register_manual()
        world.publish(NAME, text=BROKEN)
        assert told(world.sync()) == {"overridden": [NAME], "failed": [NAME]}
        assert (world.found().source_type, world.found().status) == (SourceType.CODE, WorkflowStatus.DISABLED)
        world.withdraw(NAME)
        assert told(world.sync(allow_removals=True)) == {"restored": [NAME]}
        assert (world.found().phase, world.owner_served()) == (Phase.SERVED, "MANUAL")

    def test_a_failed_manual_one_comes_back_as_it_was(self, world):
        """What Airflow could not build before, it cannot build afterwards."""
        manual = world.register_manual()
        world.database.workflows.save_workflow(manual.failed("no", world.clock.now()))
        world.publish(NAME)
        assert told(world.sync()) == {"overridden": [NAME]}
        assert world.found().phase is Phase.SERVED


class TestRemoved:
    def test_a_removed_workflow_leaves(self, world):
        """Its name is free, and Airflow drops its DAG."""
        world.publish(NAME, "a.b")
        world.sync()
        world.withdraw(NAME)
        assert told(world.sync()) == {"removed": [NAME], "unchanged": 1}
        assert world.names() == ["a.b"]
        assert world.airflow.dag(NAME.replace(".", "_")) is None
        assert told(world.sync()) == {"unchanged": 1}

    def test_one_that_comes_back_after_it_has_left_is_another(self, world):
        """A new workflow of the same name."""
        world.publish(NAME, "a.b")
        world.sync()
        first = world.found()
        world.withdraw(NAME)
        world.sync()
        world.publish(NAME)
        assert told(world.sync()) == {"added": [NAME], "unchanged": 1}
        assert world.found().id != first.id

    def test_a_task_that_is_at_work_ends_by_itself(self, make_world):
        """What runs is not killed; nothing further of the run starts, and then it is stopped, and the workflow leaves."""
        world = make_world(code_execution=CodeExecution.ALLOW)
        world.publish(NAME, "a.b")
        world.sync()
        run = world.usecases.run(NAME, caller=ME)
        world.clock.sleep(2)
        world.withdraw(NAME)
        world.usecases.sync(caller=CI)
        world.sweeper.sweep()
        assert world.found().phase is Phase.UNREGISTERING
        assert world.usecases.status(run.run_id).run.status is RunStatus.RUNNING
        world.clock.sleep(60)
        world.settle()
        assert world.found() is None
        assert world.usecases.status(run.run_id).run.status is RunStatus.STOPPED
        (tasks,) = world.airflow.tasks([(run.dag_id, run.airflow_run_id)]).values()
        assert [task.state for task in tasks] == ["success", "skipped"]

    def test_one_that_comes_back_while_a_task_is_at_work_stays(self, make_world):
        """It is the same workflow as before, and its runs go on."""
        world = make_world(code_execution=CodeExecution.ALLOW)
        world.publish(NAME, "a.b")
        world.sync()
        first = world.found()
        world.usecases.run(NAME, caller=ME)
        world.clock.sleep(2)
        world.withdraw(NAME)
        world.usecases.sync(caller=CI)
        world.sweeper.sweep()
        world.publish(NAME, owner="other@example.com")
        assert told(world.sync()) == {"added": [NAME], "unchanged": 1}
        assert (world.found().id, world.found().phase, world.found().removal) == (first.id, Phase.SERVED, None)
        assert world.airflow.dag(NAME.replace(".", "_")).is_paused is False

    def test_an_object_that_came_back_since_the_listing_stays(self, world):
        """It is looked for before anything is removed."""
        world.publish(NAME, "a.b")
        world.sync()
        listed = [ref for ref in world.storage.list(SourceType.CODE) if ref.dataset_name != NAME]
        world.storage.list = lambda source: iter(listed)
        assert told(world.sync(settle=False)) == {"unchanged": 1}
        assert world.found().removal is None


class TestGuards:
    NAMES = tuple(f"a.b{n:02d}" for n in range(20))

    @pytest.fixture
    def full(self, world):
        world.publish(*self.NAMES)
        world.sync()
        return world

    def test_a_failed_listing_changes_nothing(self, full):
        """It is an error, not an empty bucket."""
        full.storage.go_down()
        with pytest.raises(StorageUnavailable):
            full.usecases.sync(caller=CI, allow_removals=True)
        full.storage.come_back()
        assert told(full.sync()) == {"unchanged": 20}

    @pytest.mark.parametrize("names", [NAMES, NAMES[:1]], ids=["many", "the only one"])
    def test_an_empty_listing_removes_nothing_by_itself(self, world, names):
        """However few there were; removals must be allowed."""
        world.publish(*names)
        world.sync()
        world.withdraw(*names)
        report = world.sync()
        assert told(report) == {"guarded": [list(names)]}
        assert "empty" in report.guarded[0].reason
        assert world.names() == list(names)
        assert told(world.sync(allow_removals=True)) == {"removed": list(names)}

    def test_too_many_at_once_are_held_back(self, full):
        """Nothing is removed, all else is done, and the report says why."""
        full.withdraw(*self.NAMES[:7])
        full.publish("a.new")
        full.publish(self.NAMES[-1], owner="other@example.com")
        report = full.sync()
        held = {"guarded": [list(self.NAMES[:7])], "added": ["a.new"], "changed": [self.NAMES[-1]], "unchanged": 12}
        assert told(report) == held
        assert "7 of 21" in report.guarded[0].reason
        assert len(full.names()) == 21
        assert told(full.sync(allow_removals=True)) == {"removed": list(self.NAMES[:7]), "unchanged": 14}

    def test_as_many_as_the_share_allows_go(self, full):
        """0.3 of 20."""
        full.withdraw(*self.NAMES[:6])
        assert told(full.sync()) == {"removed": list(self.NAMES[:6]), "unchanged": 14}

    def test_a_few_go_whatever_their_share(self, world):
        """Three of four."""
        world.publish(*self.NAMES[:4])
        world.sync()
        world.withdraw(*self.NAMES[:3])
        assert told(world.sync()) == {"removed": list(self.NAMES[:3]), "unchanged": 1}

    def test_the_share_is_a_setting(self, make_world):
        """All but nothing may go."""
        world = make_world(sync_max_removed=1.0)
        world.publish(*self.NAMES)
        world.sync()
        world.withdraw(*self.NAMES[1:])
        assert told(world.sync()) == {"removed": list(self.NAMES[1:]), "unchanged": 1}


class TestDryRun:
    def test_it_tells_the_plan_and_changes_nothing(self, world):
        """A dry run returns the report of the following sync and records nothing."""
        world.register_manual("a.over")
        world.publish("a.changed", "a.gone", "a.stays", "a.below")
        world.sync()
        world.publish("a.changed", owner="other@example.com")
        world.withdraw("a.gone")
        world.publish("a.over", "a.new", "a.b-c", "a.b_c")
        world.publish("a.broken", text=BROKEN)
        before = (
            world.database.workflows.list_workflows(WorkflowFilter(), PageRequest()),
            world.database.code_objects.code_objects(),
        )
        plan = world.sync(dry_run=True, settle=False)
        assert (
            world.database.workflows.list_workflows(WorkflowFilter(), PageRequest()),
            world.database.code_objects.code_objects(),
        ) == before
        assert plan.dry_run
        done = world.sync()
        assert told(done) == told(plan)
        assert told(done) == {
            "added": ["a.b-c", "a.new"],
            "changed": ["a.changed"],
            "removed": ["a.gone"],
            "overridden": ["a.over"],
            "failed": ["a.b_c", "a.broken"],
            "unchanged": 2,
        }


class TestTogether:
    def test_of_two_syncs_at_once_one_adds(self, world):
        """The other one finds it taken and lets it be."""
        world.publish(NAME)
        reports: list[SyncReport] = []
        add = world.database.workflows.add_workflow

        def late(workflow, **rest):
            world.database.workflows.add_workflow = add
            reports.append(world.usecases.sync(caller=ME))
            return add(workflow, **rest)

        world.database.workflows.add_workflow = late
        reports.append(world.usecases.sync(caller=CI))
        assert [told(report) for report in reports] == [{"added": [NAME]}, {"guarded": [[NAME]]}]
        assert world.found().registered_by == ME.name
        assert told(world.sync()) == {"unchanged": 1}

    def test_an_older_sight_does_not_replace_a_newer_one(self, world):
        """A sync that read an object before it changed does not save over the one that read it afterwards."""
        world.publish(NAME, owner="first@example.com")
        world.sync()
        world.publish(NAME, owner="second@example.com")
        get = world.storage.get

        def slow(*args, **rest):
            world.storage.get = get
            old = get(*args, **rest)
            world.publish(NAME, owner="third@example.com")
            world.usecases.sync(caller=ME)
            return old

        world.storage.get = slow
        assert told(world.usecases.sync(caller=CI)) == {"guarded": [[NAME]]}
        assert world.found().owner == "third@example.com"
        assert told(world.sync()) == {"unchanged": 1}

    def test_what_another_sync_adds_during_the_listing_is_not_gone(self, world):
        """What is known is read before the listing."""
        world.publish("a.b")
        world.sync()
        real = world.storage.list

        def old(source):
            listed = list(real(source))
            world.storage.list = real
            world.publish(NAME)
            world.usecases.sync(caller=ME)
            return iter(listed)

        world.storage.list = old
        assert told(world.usecases.sync(caller=CI)) == {"unchanged": 1}
        assert f"stat {NAME}" not in world.storage.calls


class TestPermissions:
    @pytest.fixture
    def published(self, world):
        world.publish(NAME)
        world.sync()
        return world

    @pytest.mark.parametrize(
        "act",
        [
            lambda world: world.usecases.unregister(NAME, force=True),
            lambda world: world.usecases.run(NAME),
            lambda world: world.usecases.run(NAME, dry_run=True),
            lambda world: world.register_manual(),
        ],
        ids=["unregister", "run", "dry run", "register"],
    )
    def test_it_can_only_be_paused(self, published, act):
        """Everything else is the pipeline's (specification, section 1.3)."""
        with pytest.raises(WorkflowPermissionDenied):
            act(published)
        assert published.usecases.pause(NAME).pause is not None
        assert published.usecases.unpause(NAME).pause is None


class TestSweeping:
    def test_each_loader_file_is_asked_for_once_a_pass(self, world):
        """However many workflows of it are new."""
        asked: list[str] = []
        real = world.airflow.request_parse

        def counted(sentinel):
            asked.append(sentinel)
            real(sentinel)

        world.airflow.request_parse = counted
        world.publish(*(f"a.b{n}" for n in range(40)))
        world.usecases.sync(caller=CI)
        report = world.sweeper.sweep()
        assert report.workflows_settled + world.sweeper.sweep().workflows_settled == 40
        assert len(asked) <= 2 * len(set(asked)) <= 16

    def test_a_file_that_is_not_parsed_yet_is_not_asked_for_every_workflow(self, world):
        """Three misses, and the others of the file wait for the next pass."""
        world.airflow.request_parse = lambda _sentinel: None
        looks: list[str] = []
        real = world.airflow.dag

        def counted(dag_id):
            looks.append(dag_id)
            return real(dag_id)

        world.airflow.dag = counted
        world.publish(*(f"a.b{n}" for n in range(200)))
        world.usecases.sync(caller=CI)
        world.sweeper.sweep()
        assert len(looks) == 3 * 8

    def test_what_can_never_be_settled_does_not_hide_others(self, world):
        """Hundreds that are stuck are tried last."""
        stuck = [f"a.b{n:03d}" for n in range(600)]
        world.publish(*stuck)
        world.usecases.sync(caller=CI)
        for name in stuck:
            world.storage.delete(SourceType.CODE, name)  # behind every sync: Airflow will never serve them
        for _ in range(30):
            world.sweeper.sweep()
            world.clock.sleep(2)
        world.publish(NAME)
        world.usecases.sync(caller=CI)
        for _ in range(2):
            world.sweeper.sweep()
        assert world.found().phase is Phase.SERVED
