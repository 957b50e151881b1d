"""Syncs of what is published as CODE, over the fakes: what is said is what Airflow serves, and nothing is lost or read twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from tests.support.world import ME, NAME, World, a_spec
from workflow_core.domain.caller import Caller
from workflow_core.domain.filters import WorkflowFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.run import RunStatus
from workflow_core.domain.spec import SpecRules, spec_hash
from workflow_core.domain.workflow import Phase, SourceType, WorkflowStatus
from workflow_core.errors import StorageUnavailable, WorkflowPermissionDenied
from workflow_core.fakes import InMemoryStorage
from workflow_core.usecases.config import CodeExecution, ServiceConfig

if TYPE_CHECKING:
    from workflow_core.domain.code import SyncReport

CI = Caller(name="ci")
BROKEN = "version: v1\nname: daily_clicks\nowner: x\nschedule: {cron: 0 6 * * *}\ntasks: [{task_id: a, operator: os.system}]\n"


def text_of(name: str = NAME, *, owner: str = "ci@example.com") -> str:
    """A workflow of two tasks."""
    return a_spec(name, "first", "second", command="sleep 5", owner=owner)


class CountingStorage(InMemoryStorage):
    """A store that counts what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def get(self, source, dataset_name, *, limit):
        self.calls.append(f"get {dataset_name}")
        return super().get(source, dataset_name, limit=limit)

    def stat(self, source, dataset_name):
        self.calls.append(f"stat {dataset_name}")
        return super().stat(source, dataset_name)

    def list(self, source):
        self.calls.append(f"list {source}")
        return super().list(source)


class Synced(World):
    """Nothing is registered; a task takes five seconds."""

    def publish(self, *names: str, text: str | None = None, owner: str = "ci@example.com") -> None:
        for name in names:
            data = text if text is not None else text_of(name, owner=owner)
            self.storage.put_raw(SourceType.CODE, name, data.encode())

    def withdraw(self, *names: str) -> None:
        for name in names:
            assert self.storage.delete(SourceType.CODE, name)

    def sync(self, *, settle: bool = True, **options: bool) -> SyncReport:
        report: SyncReport = self.usecases.sync(caller=CI, **options)
        if settle:
            self.settle()
        return report

    def settle(self) -> None:
        for _ in range(3):
            self.sweeper.sweep()
            self.clock.sleep(2)

    def register_manual(self, name: str = NAME) -> Any:
        return self.register(name, text_of(name, owner="manual@example.com"))

    def found(self, name: str = NAME) -> Any:
        return self.workflows.workflow(name)

    def names(self) -> list[str]:
        page = self.workflows.workflows(WorkflowFilter(), PageRequest(limit=500))
        return [workflow.dataset_name for workflow in page.items]

    def owner_served(self, name: str = NAME) -> str:
        """Whose spec Airflow serves."""
        dag = self.airflow.dag(name.replace(".", "_"))
        for source in SourceType:
            data = self.storage.raw(source, name)
            if data and dag and dag.spec_hash == spec_hash(data):
                return str(source)
        return "nobody"


@pytest.fixture
def make_world():
    def make(**policy: Any) -> Synced:
        return Synced.of(storage=CountingStorage(), task_seconds=5, **policy)

    return make


@pytest.fixture
def world(make_world):
    return make_world()


def told(report: SyncReport) -> dict[str, Any]:
    """What a report says that is not empty; failures and what is held back by name."""
    words = ("added", "changed", "removed", "overridden", "restored")
    found: dict[str, Any] = {word: list(getattr(report, word)) for word in words if getattr(report, word)}
    found |= {"failed": [one.dataset_name for one in report.failed]} if report.failed else {}
    found |= {"guarded": [list(one.dataset_names) for one in report.guarded]} if report.guarded else {}
    found |= {"unchanged": report.unchanged} if report.unchanged else {}
    return found


class TestAdded:
    def test_a_published_workflow_is_served(self, world):
        """It is recorded as CODE by whoever asked, and Airflow serves it after the next sweep; its object is never written."""
        world.publish(NAME)
        before = world.storage.raw(SourceType.CODE, NAME)
        assert told(world.sync()) == {"added": [NAME]}
        found = world.found()
        assert (found.source_type, found.phase, found.status) == (SourceType.CODE, Phase.SERVED, WorkflowStatus.ACTIVE)
        assert (found.owner, found.registered_by, found.yaml.encode()) == ("ci@example.com", "ci", before)
        assert found.s3_path == world.storage.url(SourceType.CODE, NAME)
        assert world.owner_served() == "CODE"
        assert world.storage.raw(SourceType.CODE, NAME) == before
        assert [*world.storage.list(SourceType.MANUAL)] == []

    def test_the_sync_itself_asks_nothing_of_airflow(self, world):
        """A sync works while Airflow is away; the DAG follows when it is back."""
        world.publish(NAME)
        world.airflow.go_down()
        assert told(world.sync(settle=False)) == {"added": [NAME]}
        assert world.found().phase is Phase.REGISTERING
        world.airflow.come_back()
        world.settle()
        assert world.found().phase is Phase.SERVED

    def test_nothing_is_read_where_nothing_changed(self, world):
        """One listing, and nothing of Airflow, however often."""
        world.publish(NAME, "a.b", "a.c")
        world.publish("a.broken", text=BROKEN)
        world.sync()
        world.storage.calls.clear()
        world.airflow.go_down()
        assert told(world.sync(settle=False)) == {"failed": ["a.broken"], "unchanged": 3}
        assert world.storage.calls == ["list CODE"]

    def test_only_what_changed_is_read(self, world):
        """One read for the one object that is another."""
        world.publish(NAME, "a.b")
        world.sync()
        world.publish("a.b", owner="other@example.com")
        world.storage.calls.clear()
        assert told(world.sync()) == {"changed": ["a.b"], "unchanged": 1}
        assert world.storage.calls.count("list CODE") >= 1
        assert next(call for call in world.storage.calls if call.startswith("get")) == "get a.b"
        assert (world.found("a.b").owner, world.found("a.b").phase) == ("other@example.com", Phase.SERVED)

    def test_a_change_is_not_served_before_airflow_says_so(self, world):
        """Until then the workflow is registering."""
        world.publish(NAME)
        world.sync()
        world.publish(NAME, owner="other@example.com")
        world.sync(settle=False)
        assert world.found().phase is Phase.REGISTERING

    def test_settling_writes_no_code(self, world):
        """What the pipeline has published since the sync stays."""
        world.publish(NAME)
        world.sync(settle=False)
        world.publish(NAME, owner="newer@example.com")
        newer = world.storage.raw(SourceType.CODE, NAME)
        world.settle()
        assert world.storage.raw(SourceType.CODE, NAME) == newer
        assert told(world.sync()) == {"changed": [NAME]}

    def test_the_same_text_again_changes_nothing(self, world):
        """An object that was written anew with the same text has another ETag, and is no other workflow."""
        world.publish(NAME)
        world.sync()
        before = world.found()
        world.publish(NAME)
        assert told(world.sync(settle=False)) == {"unchanged": 1}
        assert world.found() == evolve(before, version=before.version + 1)

    def test_every_text_that_counts_is_a_revision(self, world):
        """A change, CODE over MANUAL and its way back; a broken text, and the same text again, are none."""
        world.register_manual()
        world.publish(NAME)
        world.sync()
        for changes in ({"owner": "other@example.com"}, {"text": BROKEN}, {"owner": "other@example.com"}):
            world.publish(NAME, **changes)
            world.sync()
        world.withdraw(NAME)
        world.sync(allow_removals=True)
        found, page = world.usecases.revisions(NAME)
        assert (found.revision, found.served_revision) == (4, 4)
        owners = [one.yaml.partition("owner: ")[2].partition("\n")[0] for one in page.items]
        assert owners == ["manual@example.com", "other@example.com", "ci@example.com", "manual@example.com"]
        assert [one.by for one in page.items] == ["ci", "ci", "ci", "me@example.com"]

    def test_a_pause_survives_every_change(self, world):
        """It is runtime state: no sync changes it."""
        world.publish(NAME)
        world.sync()
        world.usecases.pause(NAME, "tea", caller=ME)
        for changes in ({"owner": "other@example.com"}, {"text": BROKEN}, {}):
            world.publish(NAME, **changes)
            world.sync()
            assert world.found().pause.reason == "tea"
        assert world.airflow.dag(NAME.replace(".", "_")).is_paused


class TestFailed:
    @pytest.mark.parametrize(
        ("text", "line", "field"),
        [
            (BROKEN, 5, "tasks[0].operator"),
            (
                BROKEN.replace("owner: x\n", "")
                .replace("os.system", "bash")
                .replace("operator: bash", "operator: empty"),
                1,
                "owner",
            ),
            ("version: v1\nname: daily_clicks\nowner: x\n", 1, "schedule"),
            ("version: v1\nname: [", 2, None),
            ("", 1, None),
        ],
        ids=["operator", "owner", "schedule", "syntax", "empty"],
    )
    def test_what_is_wrong_is_told_with_its_place(self, world, text, line, field):
        """Nothing is registered; the report names the object, the line and the reason, again and again."""
        world.publish(NAME, text=text)
        for _ in range(2):
            report = world.sync()
            [failed] = report.failed
            assert (failed.dataset_name, failed.url) == (NAME, world.storage.url(SourceType.CODE, NAME))
            assert (failed.problems[0].line, failed.problems[0].field) == (line, field)
        assert world.names() == []

    @pytest.mark.parametrize("data", [b"\xff\xfe", b"x" * 300_000], ids=["no text", "too large"])
    def test_what_is_no_spec_at_all_is_read_once(self, world, data):
        """Binary rubbish, or megabytes of it."""
        world.storage.put_raw(SourceType.CODE, NAME, data)
        assert told(world.sync()) == {"failed": [NAME]}
        world.storage.calls.clear()
        assert told(world.sync(settle=False)) == {"failed": [NAME]}
        assert world.storage.calls == ["list CODE"]

    def test_a_broken_object_hurts_no_other(self, world):
        """Its neighbours are taken up and served."""
        world.publish(NAME, text=BROKEN)
        world.publish("a.b")
        assert told(world.sync()) == {"added": ["a.b"], "failed": [NAME]}
        assert world.found("a.b").phase is Phase.SERVED

    def test_a_change_to_broken_disables_the_workflow(self, world):
        """Airflow serves an error in its place: disabled, with file and line; the last good spec can still be seen."""
        world.publish(NAME)
        world.sync()
        good = world.found().yaml
        world.publish(NAME, text=BROKEN)
        assert told(world.sync()) == {"failed": [NAME]}
        found = world.found()
        assert (found.status, found.phase, found.yaml) == (WorkflowStatus.DISABLED, Phase.FAILED, good)
        assert "code/iceberg.analytics.daily_clicks.yaml: line 5, column" in found.phase_reason

    @pytest.mark.parametrize("owner", ["ci@example.com", "other@example.com"], ids=["as it was", "changed"])
    def test_a_repaired_workflow_comes_back(self, world, owner):
        """With its old text or a new one."""
        world.publish(NAME)
        world.sync()
        world.publish(NAME, text=BROKEN)
        world.sync()
        world.publish(NAME, owner=owner)
        assert told(world.sync()) == {"changed": [NAME]}
        assert (world.found().phase, world.found().owner) == (Phase.SERVED, owner)

    def test_a_broken_new_one_is_added_once_it_is_repaired(self, world):
        """It was never known before."""
        world.publish(NAME, text=BROKEN)
        world.sync()
        world.publish(NAME)
        assert told(world.sync()) == {"added": [NAME]}
        assert told(world.sync()) == {"unchanged": 1}

    def test_a_broken_one_that_goes_is_forgotten(self, world):
        """Nothing was made of it, so that nothing is removed; no guard is asked."""
        names = [f"a.b{n}" for n in range(9)]
        world.publish(*names, text=BROKEN)
        world.publish(NAME)
        world.sync()
        world.withdraw(*names)
        assert told(world.sync()) == {"unchanged": 1}

    def test_other_rules_are_another_look(self, make_world):
        """What was refused for an operator that is allowed by now is read again, though it has not changed."""
        world = make_world()
        world.publish(NAME, text=BROKEN)
        world.sync()
        rules = SpecRules(operators=("*",))
        other = world.another(policy=ServiceConfig(rules=rules))
        assert told(other.usecases.sync(caller=CI)) == {"added": [NAME]}

    def test_a_name_of_a_loader_file_is_refused(self, world):
        """Its DAG would hide the file from us."""
        name = "workflow_core_loader_00_of.08"
        world.publish(name, text=text_of(name, owner="x"))
        report = world.sync()
        assert told(report) == {"failed": [name]}
        assert "loader file" in report.failed[0].problems[0].message
        assert world.names() == []


class TestClash:
    def test_the_first_by_name_holds_the_dag_id(self, world):
        """As in Airflow's loader; the other one is told who holds it, in every sync."""
        world.publish("a.b-c", "a.b_c")
        assert told(world.sync()) == {"added": ["a.b-c"], "failed": ["a.b_c"]}
        report = world.sync()
        assert told(report) == {"failed": ["a.b_c"], "unchanged": 1}
        assert "'a_b_c', which workflow 'a.b-c' holds" in report.failed[0].problems[0].message

    def test_the_other_one_is_taken_up_when_the_holder_has_gone(self, world):
        """Nothing of its object has changed."""
        world.publish("a.b-c", "a.b_c")
        world.sync()
        world.withdraw("a.b-c")
        world.sync()
        assert told(world.sync()) == {"added": ["a.b_c"]}

    def test_a_manual_holder_is_named_too(self, world):
        """And keeps its DAG, being the first by name."""
        world.register_manual("a.b-c")
        world.publish("a.b_c")
        assert told(world.sync()) == {"failed": ["a.b_c"]}
        assert world.found("a.b-c").phase is Phase.SERVED

    def test_a_holder_that_airflow_does_not_serve_any_more_says_so(self, world):
        """A newcomer that comes first by name takes the holder's place in Airflow; when it goes, the holder comes back."""
        world.register_manual("a.b_c")
        world.publish("a.b-c")
        assert told(world.sync()) == {"failed": ["a.b-c"]}
        assert world.found("a.b_c").status is WorkflowStatus.DISABLED
        assert "'a.b-c'" in world.found("a.b_c").phase_reason
        world.withdraw("a.b-c")
        assert told(world.sync()) == {}
        assert world.found("a.b_c").phase is Phase.SERVED


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
        world.workflows.save_workflow(evolve(manual, phase=Phase.REGISTERING))
        world.publish(NAME)
        assert told(world.sync()) == {"overridden": [NAME]}
        assert world.storage.raw(SourceType.MANUAL, NAME) is None
        world.withdraw(NAME)
        world.sync(allow_removals=True)
        assert world.storage.raw(SourceType.MANUAL, NAME) == manual.yaml.encode()
        assert world.owner_served() == "MANUAL"

    def test_a_manual_one_that_is_being_unregistered_goes_first(self, world):
        """Then the name is free, and CODE is added as a workflow of its own."""
        manual = world.register_manual()
        world.airflow.go_down()
        world.workflows.retire_workflow(manual.unregistering("me", world.clock.now()), force=False)
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
        world.workflows.save_workflow(manual.failed("no", world.clock.now()))
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
        """The same report as the sync that follows, and until then nothing is recorded."""
        world.register_manual("a.over")
        world.publish("a.changed", "a.gone", "a.stays", "a.below")
        world.sync()
        world.publish("a.changed", owner="other@example.com")
        world.withdraw("a.gone")
        world.publish("a.over", "a.new", "a.b-c", "a.b_c")
        world.publish("a.broken", text=BROKEN)
        before = (world.workflows.workflows(WorkflowFilter(), PageRequest()), world.workflows.code_objects())
        plan = world.sync(dry_run=True, settle=False)
        assert (world.workflows.workflows(WorkflowFilter(), PageRequest()), world.workflows.code_objects()) == before
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
        add = world.workflows.add_workflow

        def late(workflow, **rest):
            world.workflows.add_workflow = add
            reports.append(world.usecases.sync(caller=ME))
            return add(workflow, **rest)

        world.workflows.add_workflow = late
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
