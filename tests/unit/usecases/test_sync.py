"""Sync CODE workflows: what is added, what is refused, and which of two names counts."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.support.code import BROKEN, CI, a_synced_world, text_of, told
from tests.support.world import ME, NAME
from workflow_core.domain.spec import SpecRules
from workflow_core.domain.workflow import Phase, SourceType, WorkflowStatus
from workflow_core.usecases.config import ServiceConfig


@pytest.fixture
def make_world():
    return a_synced_world


@pytest.fixture
def world(make_world):
    return make_world()


class TestAdded:
    def test_a_published_workflow_is_served(self, world):
        """The workflow is recorded as CODE by the caller, and Airflow serves it after the next sweep; its object is never written."""
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

    @pytest.mark.parametrize("owner", ["ci@example.com", "other@example.com"], ids=["unchanged", "changed"])
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
        """The first name wins, as in the loader; each sync reports the holder for the other one."""
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
