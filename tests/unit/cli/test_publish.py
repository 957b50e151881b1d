"""``dli workflow sync`` and ``dli workflow validate`` for CI pipelines."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.test_commands import NAME, YAML, World
from workflow_core.domain.workflow import SourceType

BROKEN = YAML.replace("operator: bash", "operator: os.system")


@pytest.fixture
def world(monkeypatch, capsys, tmp_path):
    return World(monkeypatch, capsys, tmp_path)


def named(name: str, text: str = YAML) -> str:
    return text.replace("daily_clicks", name.rpartition(".")[2])


class TestSync:
    def publish(self, world: World, name: str, text: str = YAML) -> None:
        world.storage.put_raw(SourceType.CODE, name, named(name, text).encode())

    def test_it_prints_what_it_did(self, world):
        """A line for each workflow, and the numbers; Airflow has followed when the next command asks."""
        self.publish(world, NAME)
        out, _ = world.dli("workflow", "sync")
        assert out.splitlines() == [
            f"+ {NAME}  added",
            "1 added, 0 changed, 0 overridden, 0 restored, 0 removed, 0 failed, 0 unchanged",
        ]
        assert world.json("workflow", "show", NAME)["phase"] == "served"

    def test_what_is_refused_is_told_with_its_place(self, world):
        """As url:line:column: field: reason, with exit code 1, so that a pipeline sees it."""
        self.publish(world, "a.bad", BROKEN)
        out, _ = world.dli("workflow", "sync", expect=1)
        assert "! memory://workflows/code/a.bad.yaml:6:38: tasks[0].operator: " in out

    def test_a_dry_run_is_a_plan(self, world):
        """And says so."""
        self.publish(world, NAME)
        out, _ = world.dli("workflow", "sync", "--dry-run")
        assert f"+ {NAME}  added" in out
        assert "dry run: nothing was changed" in out
        world.dli("workflow", "show", NAME, expect=3)

    def test_removals_are_held_back_until_they_are_allowed(self, world):
        """With the names and the reason, and exit code 1."""
        self.publish(world, NAME)
        world.dli("workflow", "sync")
        world.storage.delete(SourceType.CODE, NAME)
        out, _ = world.dli("workflow", "sync", expect=1)
        assert f"! held back: {NAME}: The listing is empty" in out
        out, _ = world.dli("workflow", "sync", "--allow-removals")
        assert f"- {NAME}  removed" in out

    def test_programs_get_the_answer_of_the_api(self, world):
        """The same fields."""
        self.publish(world, NAME)
        assert world.json("workflow", "sync")["added"] == [NAME]


class TestValidate:
    @pytest.fixture
    def folder(self, tmp_path):
        made = tmp_path / "published"
        made.mkdir()
        for name in ("a.one", "a.two"):
            (made / f"{name}.yaml").write_text(named(name))
        return made

    def test_a_good_folder_passes(self, world, folder):
        """Each file is named; other files do not count."""
        (folder / "README.md").write_text("x")
        out, err = world.dli("workflow", "validate", str(folder))
        assert (out.splitlines(), err) == (
            [f"{folder}/a.one.yaml: ok, 1 task", f"{folder}/a.two.yaml: ok, 1 task"],
            "",
        )

    @pytest.mark.parametrize(
        ("file", "text", "finding"),
        [
            ("a.bad.yaml", named("a.bad", BROKEN), "a.bad.yaml:6:38: tasks[0].operator: "),
            ("a.other.yaml", named("a.one"), "a.other.yaml:2:7: name: "),
            ("a.x.yaml", named("a.x").replace("owner: data@example.com\n", ""), "a.x.yaml:1:1: owner: is required"),
            ("bad.yaml", named("a.bad"), "bad.yaml:1:1: the file's name must be a dataset name"),
            ("a.on-e.yaml", named("a.on-e"), "a.on_e.yaml would have the same Airflow DAG id 'a_on_e'"),
            ("sub/a.one.yaml", named("a.one"), "a.one.yaml has the same name"),
            ("workflow_core_loader_00_of.08.yaml", named("x.08"), "is the name of a loader file"),
        ],
        ids=["operator", "name", "owner", "no name", "DAG id", "twice", "sentinel"],
    )
    def test_what_a_sync_would_refuse_is_found(self, world, folder, file, text, finding):
        """As file:line:column: field: reason, exit code 1."""
        (folder / "a.on_e.yaml").write_text(named("a.on_e"))
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(text)
        _, err = world.dli("workflow", "validate", str(folder), expect=1)
        assert finding in err

    def test_programs_get_every_file_with_its_findings(self, world, folder):
        """Name, line and column of each."""
        (folder / "a.bad.yaml").write_text(named("a.bad", BROKEN))
        out, _ = world.dli("workflow", "validate", str(folder), "--output", "json", expect=1)
        found = json.loads(out)
        assert found["ok"] is False
        assert [(file["dataset_name"], len(file["problems"])) for file in found["files"]] == [
            ("a.bad", 1), ("a.one", 0), ("a.two", 0),
        ]  # fmt: skip
        assert found["files"][0]["problems"][0]["line"] == 6

    def test_files_in_subfolders_are_checked_and_told(self, world, folder):
        """Below code/ they would not be taken up."""
        (folder / "team").mkdir()
        (folder / "team" / "a.three.yaml").write_text(named("a.three"))
        out, err = world.dli("workflow", "validate", str(folder))
        assert "team/a.three.yaml: ok" in out
        assert "publish them without subfolders" in err

    def test_an_empty_folder_is_wrong_input(self, world, tmp_path):
        """To publish it would empty the store."""
        (tmp_path / "empty").mkdir()
        _, err = world.dli("workflow", "validate", str(tmp_path / "empty"), expect=2)
        assert "there is no *.yaml" in err

    def test_a_name_is_for_a_single_file(self, world, folder):
        """In a folder each file has its own."""
        world.dli("workflow", "validate", str(folder), "--name", "a.b", expect=2)

    def test_files_and_folders_go_together(self, world, folder):
        """A file of its own need not be complete: a registration may add what it lacks."""
        file = folder.parent / "one.yaml"
        file.write_text("version: v1\nname: one\n")
        out, _ = world.dli("workflow", "validate", str(file), str(folder))
        assert out.count(": ok") == 3
