"""The DAG loader, with the real Airflow and the real dag-factory, and no scheduler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
from served import serialized, served

from workflow_adapters.storage.filesystem import FilesystemStorage
from workflow_core.domain.names import dag_id_for, loader_for, sentinel_dag_id
from workflow_core.domain.served import ServedMark, read_mark
from workflow_core.domain.spec import spec_hash
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import ConfigurationError, StorageUnavailable
from workflow_entrypoints.airflow import build, loader
from workflow_entrypoints.airflow.install import install
from workflow_entrypoints.airflow.loader import load
from workflow_entrypoints.airflow.macros import run_date_in
from workflow_entrypoints.airflow.timetable import FiresFrom

SPEC = """\
version: v1
name: {name}
owner: data@example.com
team: "@x"
description: What it does
schedule: {{cron: "30 6 * * 1-5", timezone: America/New_York}}
start_date: 2026-01-01T00:00:00Z
params: {{region: US, limit: {{default: 10, type: integer, enum: [10, 20]}}, note: {{default: null, type: string}}}}
tasks:
  - task_id: extract
    operator: bash
    bash_command: echo "{{{{ run_date() }}}} $REGION"
    env: {{REGION: "{{{{ params.region }}}}"}}
    append_env: true
    retries: 2
    retry_delay: 90
    execution_timeout: 600
  - task_id: load
    operator: empty
    dependencies: [extract]
"""

BAD = SPEC.format(name="bad")
SENSOR = "airflow.providers.standard.sensors.bash.BashSensor"


class Counting(FilesystemStorage):
    """A storage folder that counts its calls and may be down."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.calls: list[str] = []
        self.down = False

    def _count(self, what: str) -> None:
        self.calls.append(what)
        if self.down:
            raise StorageUnavailable("down")

    def get(self, *args, **kwargs):
        self._count("get")
        return super().get(*args, **kwargs)

    def list(self, *args, **kwargs):
        self._count("list")
        return super().list(*args, **kwargs)

    def stat(self, *args, **kwargs):
        self._count("stat")
        return super().stat(*args, **kwargs)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Return a world with one loader, an empty store and a separate cache."""
    storage = Counting(tmp_path / "store")
    (tmp_path / "store").mkdir()
    (tmp_path / "dags").mkdir()
    monkeypatch.setattr(loader, "open_storage", lambda _url: storage)
    monkeypatch.setenv("WORKFLOWS_LOADER_CACHE", str(tmp_path / "cache"))
    install(tmp_path / "dags", loaders=1, storage_url=f"file://{tmp_path}/store")

    def put(name: str, text: str | None = None, source: SourceType = SourceType.MANUAL) -> str:
        text = SPEC.format(name=name) if text is None else text
        there = storage.stat(source, name)
        storage.put(source, name, text, expected=there.etag if there else None)
        storage.calls.clear()
        return text

    def parse(wanted: str | None = None) -> dict:
        storage.calls.clear()
        monkeypatch.setattr(loader, "wanted_dag_id", lambda: wanted)
        found: dict = {}
        load(found, index=0, loaders=1, config=tmp_path / "dags" / "workflow_core_loader.json")
        return found

    return SimpleNamespace(storage=storage, put=put, parse=parse, path=tmp_path)


def test_an_empty_store_gives_the_paused_sentinel_alone(world):
    """The sentinel is there from the start, so that the file can be parsed on demand."""
    found = world.parse()
    assert list(found) == [sentinel_dag_id(0, 1)]
    assert found[sentinel_dag_id(0, 1)].is_paused_upon_creation is True


def test_a_spec_becomes_its_dag(world):
    """Schedule, zone, catchup, start, params, tasks, order and mark are the spec's."""
    text = world.put("a.clicks")
    dag = world.parse()["a_clicks"]
    assert isinstance(served(dag).timetable, FiresFrom)
    assert "America/New_York" in serialized(dag)
    assert "30 6 * * 1-5" in serialized(dag)
    assert dag.catchup is False
    assert dag.is_paused_upon_creation is False
    assert dag.start_date == datetime(1970, 1, 1, tzinfo=UTC)
    assert {name: dag.params[name] for name in dag.params} == {"region": "US", "limit": 10, "note": None}
    assert dag.task_dict["load"].upstream_task_ids == {"extract"}
    extract = dag.task_dict["extract"]
    assert (extract.retries, extract.retry_delay, extract.execution_timeout) == (
        2, timedelta(seconds=90), timedelta(seconds=600),
    )  # fmt: skip
    assert extract.owner == "data@example.com"
    assert dag.description == "What it does"
    assert read_mark(dag.doc_md) == ServedMark(spec_hash=spec_hash(text))


def test_telemetry_is_off_and_the_tag_that_would_be_reported_is_gone(world):
    """dag-factory's listener looks for its tag, and its setting says no."""
    world.put("a.clicks")
    assert world.parse()["a_clicks"].tags == {"manual", "data@example.com", "@x"}
    from dagfactory import settings, telemetry

    assert settings.enable_telemetry is False
    assert telemetry.should_emit() is False


def test_equal_specs_give_equal_dags_in_every_process(world):
    """The serialised DAG does not depend on the hash seed, the time or the order of anything."""
    world.put("a.clicks")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import json\n"
        "from pathlib import Path\n"
        "from workflow_entrypoints.airflow.loader import load\n"
        "from served import serialized\n"
        "found = {}; load(found, index=0, loaders=1, config=Path(sys.argv[2]))\n"
        "print(serialized(found['a_clicks']))\n"
    )
    told = set()
    for seed in ("1", "2", "3"):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                code,
                str(Path(__file__).parent),
                str(world.path / "dags" / "workflow_core_loader.json"),
            ],
            env={**os.environ, "PYTHONHASHSEED": seed, "WORKFLOWS_LOADER_CACHE": str(world.path / f"cache{seed}")},
            capture_output=True,
            text=True,
            check=True,
        )
        told.add(done.stdout.splitlines()[-1])
    assert len(told) == 1


def test_an_unchanged_store_costs_its_listings_only(world):
    """Objects are read once for each ETag, also by another process of the host."""
    world.put("a.one")
    world.put("a.two")
    world.parse()
    assert world.storage.calls == ["list", "list", "get", "get"]
    world.parse()
    assert world.storage.calls == ["list", "list"]
    changed = world.put("a.two", SPEC.format(name="a.two").replace("30 6", "45 6"))
    found = world.parse()
    assert world.storage.calls == ["list", "list", "get"]
    assert read_mark(found["a_two"].doc_md).spec_hash == spec_hash(changed)


def test_a_task_builds_its_own_dag_only(world):
    """When a task runs, only the spec of its DAG is looked up in the store, read and built."""
    world.put("a.one")
    world.put("a.two")
    world.parse()
    found = world.parse(wanted="a_two")
    assert list(found) == ["a_two"]
    assert world.storage.calls == ["stat", "stat"]


def test_a_worker_with_an_old_cache_reads_the_new_spec(world):
    """A worker's cache may be older than what the processor has parsed."""
    world.put("a.one")
    world.parse()
    text = world.put("a.one", SPEC.format(name="a.one").replace("30 6", "45 6"))
    assert read_mark(world.parse(wanted="a_one")["a_one"].doc_md).spec_hash == spec_hash(text)


def test_a_worker_without_a_cache_finds_the_spec(world):
    """The first task on a new host."""
    world.put("a.one")
    assert list(world.parse(wanted="a_one")) == ["a_one"]


def test_an_outage_leaves_every_dag_as_it_was(world):
    """The processor and the workers continue with the cached specs."""
    world.put("a.one")
    before = serialized(world.parse()["a_one"])
    world.storage.down = True
    assert serialized(world.parse()["a_one"]) == before
    assert serialized(world.parse(wanted="a_one")["a_one"]) == before


def test_an_outage_before_anything_is_known_is_an_import_error(world):
    """Airflow shows it; silence would look like no workflows."""
    world.put("a.one")
    world.storage.down = True
    with pytest.raises(StorageUnavailable):
        world.parse()


def test_a_removed_spec_is_gone(world):
    """The DAG of a removed spec is no longer defined, even if the store goes down afterwards."""
    world.put("a.one")
    world.put("a.two")
    world.parse()
    world.storage.delete(SourceType.MANUAL, "a.one")
    assert "a_one" not in world.parse()
    world.storage.down = True
    assert "a_one" not in world.parse()


def test_code_overrides_manual_and_gives_it_back(world):
    """CODE overrides MANUAL, as in the service, and MANUAL is served again after the removal of CODE."""
    manual = world.put("a.one")
    code = world.put("a.one", SPEC.format(name="a.one").replace("30 6", "45 6"), SourceType.CODE)
    assert read_mark(world.parse()["a_one"].doc_md).spec_hash == spec_hash(code)
    assert "code" in world.parse(wanted="a_one")["a_one"].tags
    world.storage.delete(SourceType.CODE, "a.one")
    assert read_mark(world.parse()["a_one"].doc_md).spec_hash == spec_hash(manual)


class TestTheSameTextAgain:
    """An object may be written again with the text that it has: by a pipeline that uploads every file, from a fresh checkout."""

    OLD = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def publish(self, world, text: str, moment: datetime, source: SourceType = SourceType.CODE) -> str:
        """The DAG as Airflow stores it after an object was written at this moment."""
        file = world.path / "store" / "workflows" / source.value.lower() / "a.one.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        os.utime(file, (moment.timestamp(), moment.timestamp()))
        return serialized(world.parse()["a_one"])

    def test_it_changes_nothing(self, world):
        """The DAG is byte-identical, so Airflow stores no new version, and a due run stays due."""
        text = SPEC.format(name="a.one")
        before = self.publish(world, text, self.OLD)
        for later in (timedelta(seconds=1), timedelta(days=1), timedelta(days=30)):
            assert self.publish(world, text, self.OLD + later) == before
        assert "2026-01-01T12:00:00" in before

    def test_another_text_is_published_when_it_is_written(self, world):
        """The first text is also published again if it returns: fire times missed before that are not run."""
        first, second = SPEC.format(name="a.one"), SPEC.format(name="a.one").replace("30 6", "45 6")
        days = [self.OLD + timedelta(days=day) for day in range(4)]
        self.publish(world, first, days[0])
        for text, day in ((second, days[1]), (first, days[2])):
            assert f"{day.date()}T12:00:00" in self.publish(world, text, day)
        assert f"{days[2].date()}T12:00:00" in self.publish(world, first, days[3])

    def test_a_change_of_the_rules_is_no_publication(self, world, monkeypatch):
        """A spec is checked anew under other rules, and keeps its moment."""
        text = SPEC.format(name="a.one")
        self.publish(world, text, self.OLD)
        before = self.publish(world, text, self.OLD + timedelta(days=1))
        monkeypatch.setenv("WORKFLOWS_MAX_YAML_BYTES", "9999")
        assert self.publish(world, text, self.OLD + timedelta(days=1)) == before

    @pytest.mark.parametrize("name", ["cron", "schedule", "zones"])
    def test_another_reader_of_schedules_checks_the_cache_anew(self, name, tmp_path, monkeypatch):
        """What an older release has accepted may be refused by this one."""
        other = tmp_path / "other.py"
        other.write_text("# another release")
        before = loader._checks()
        monkeypatch.setattr(getattr(loader, name), "__file__", str(other))
        assert loader._checks() != before

    def test_a_spec_that_went_and_came_back_is_new(self, world):
        """If a parse has seen that it was gone."""
        text = SPEC.format(name="a.one")
        self.publish(world, text, self.OLD)
        (world.path / "store" / "workflows" / "code" / "a.one.yaml").unlink()
        assert "a_one" not in world.parse()
        assert "2026-01-02T12:00:00" in self.publish(world, text, self.OLD + timedelta(days=1))

    def test_a_manual_text_that_becomes_code_keeps_its_moment(self, world):
        """A pipeline takes over what was registered by hand, and a run that is due is not lost."""
        text = SPEC.format(name="a.one")
        self.publish(world, text, self.OLD, SourceType.MANUAL)
        assert "2026-01-01T12:00:00" in self.publish(world, text, self.OLD + timedelta(days=1))

    def test_a_cache_of_an_older_release_is_read(self, world):
        """It has no moment of the text: that of the object counts."""
        before = self.publish(world, SPEC.format(name="a.one"), self.OLD)
        (entry,) = (world.path / "cache").rglob("a_one.json")
        facts = json.loads(entry.read_text())
        del facts["text_since"]
        entry.write_text(json.dumps(facts))
        world.storage.down = True
        assert serialized(world.parse()["a_one"]) == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("version: v1\nname: [", "not valid YAML"),
        (SPEC.format(name="other.name"), "must be 'a.bad'"),
        (BAD.replace("operator: empty", "operator: airflow.providers.standard.operators.bash.Nope"), "Nope"),
        (BAD.replace("operator: empty", "operator: os.system"), "not allowed"),
        (BAD.replace("operator: empty", f"operator: {SENSOR}\n    bash_command: x\n    nope: 1"), "nope"),
        (BAD.replace("schedule:", "# schedule:"), "schedule"),
    ],
    ids=["yaml", "name", "class", "allowed", "argument", "schedule"],
)  # fmt: skip
def test_a_spec_that_cannot_be_built_becomes_an_error_dag_and_leaves_others_unaffected(world, text, reason):
    """Its mark contains the reason, it has no schedule, its only task fails with the reason, and other DAGs are unaffected."""
    world.put("a.good")
    world.put("a.bad", text)
    found = world.parse()
    assert read_mark(found["a_good"].doc_md).error is None
    mark = read_mark(found["a_bad"].doc_md)
    assert reason in mark.error
    assert mark.spec_hash == spec_hash(text)
    (task,) = found["a_bad"].tasks
    assert type(served(found["a_bad"]).timetable).__name__ == "NullTimetable"
    with pytest.raises(build.AirflowFailException) as failed:
        task.execute({})
    assert reason in str(failed.value)


def test_an_object_that_is_no_text_becomes_an_error_dag(world):
    """A stored object whose bytes are not UTF-8 becomes an error DAG."""
    world.put("a.bad", "x")
    (world.path / "store" / "workflows" / "manual" / "a.bad.yaml").write_bytes(b"\xff\xfe")
    assert "UTF-8" in read_mark(world.parse()["a_bad"].doc_md).error


def test_of_two_names_with_one_dag_id_the_first_is_served(world):
    """The service refuses the second; a CI pipeline may still publish it."""
    first = world.put("a.b-c")
    world.put("a.b_c")
    assert read_mark(world.parse()["a_b_c"].doc_md).spec_hash == spec_hash(first)


def test_no_tasks_run_nothing_or_what_the_installation_says(world, monkeypatch):
    """WORKFLOWS_DEFAULT_TASK, else a task that does nothing."""
    world.put("a.none", "version: v1\nname: none\nowner: x\nschedule: {cron: '0 6 * * *'}\n")
    assert [task.task_type for task in world.parse()["a_none"].tasks] == ["EmptyOperator"]
    monkeypatch.setenv("WORKFLOWS_DEFAULT_TASK", '{"operator": "bash", "bash_command": "echo hi"}')
    (task,) = world.parse()["a_none"].tasks
    assert (task.task_type, task.bash_command) == ("BashOperator", "echo hi")


def test_a_corrupt_cache_is_read_anew(world):
    """Half a file, another format, another type: as if it were not there."""
    world.put("a.one")
    before = serialized(world.parse()["a_one"])
    for garbage in ("", "{", "[]", '{"etag": 5}', '{"source": "X"}'):
        (entry,) = (world.path / "cache").rglob("a_one.json")
        entry.write_text(garbage)
        assert serialized(world.parse()["a_one"]) == before


def test_each_loader_serves_its_share(world):
    """Every workflow is served by exactly the loader that its DAG id hashes to."""
    names = [f"share.w{number}" for number in range(20)]
    for name in names:
        world.put(name)
    served: dict[str, int] = {}
    for index in range(4):
        found: dict = {}
        load(found, index=index, loaders=4, config=world.path / "dags" / "workflow_core_loader.json")
        assert sentinel_dag_id(index, 4) in found
        served |= {dag_id: index for dag_id in found if dag_id != sentinel_dag_id(index, 4)}
    assert served == {dag_id_for(name): loader_for(dag_id_for(name), 4) for name in names}


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (
            {"dag_run": {"conf": {"date": "2020-02-29"}, "logical_date": datetime(2026, 1, 2, 3, tzinfo=UTC)}},
            "2020-02-29",
        ),
        ({"dag_run": {"conf": {}, "logical_date": datetime(2026, 1, 2, 3, tzinfo=UTC)}}, "2026-01-01"),
        (
            {"dag_run": {"conf": None, "logical_date": None, "run_after": datetime(2026, 1, 2, 3, tzinfo=UTC)}},
            "2026-01-01",
        ),
        ({"dag_run": {"conf": {}}, "logical_date": datetime(2026, 7, 2, 5, tzinfo=UTC)}, "2026-07-02"),
    ],
    ids=["the caller's", "of the logical date", "of the moment it may start", "from the context"],
)
def test_run_date_in_the_workflows_zone(context, expected):
    """One date for every kind of run, as New York has it."""
    run = {"logical_date": None, "run_after": None, **context.pop("dag_run")}
    template = jinja2.Environment(autoescape=False).from_string("{{ run_date() }}")
    rendered = template.render(run_date=run_date_in("America/New_York"), dag_run=SimpleNamespace(**run), **context)
    assert rendered == expected


class TestInstall:
    def test_it_writes_the_files_once(self, tmp_path):
        """A second call with the same settings changes neither content nor time."""
        files = install(tmp_path, loaders=3, storage_url="s3://b/p")
        assert sorted(path.name for path in files) == sorted(path.name for path in tmp_path.iterdir())
        before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
        install(tmp_path, loaders=3, storage_url="s3://b/p")
        assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files} == before

    def test_no_text_of_a_setting_is_in_the_python(self, tmp_path):
        """Settings stand in the JSON file only."""
        files = install(
            tmp_path, loaders=1, storage_url='file:///evil""")/\'+x', default_task={"operator": "bash", "x": '"""'}
        )
        (python,) = [path for path in files if path.suffix == ".py"]
        assert "evil" not in python.read_text()
        assert python.read_text() == (install(tmp_path, loaders=1, storage_url="s3://other")[1]).read_text()

    def test_fewer_loaders_remove_the_rest_and_nothing_else(self, tmp_path):
        """Files of the user stay."""
        (tmp_path / "own.py").write_text("x = 1")
        (tmp_path / "workflow_core_loader_backup.py").write_text("x = 1")
        install(tmp_path, loaders=5, storage_url="s3://b")
        install(tmp_path, loaders=2, storage_url="s3://b")
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "own.py", "workflow_core_loader.json", "workflow_core_loader_00.py", "workflow_core_loader_01.py",
            "workflow_core_loader_backup.py",
        ]  # fmt: skip

    @pytest.mark.parametrize("wrong", [{"loaders": 0}, {"loaders": 100}, {"default_task": "{"}, {"default_task": "[]"}])
    def test_wrong_settings_are_refused(self, tmp_path, wrong):
        """A refused installation writes no file."""
        with pytest.raises(ConfigurationError):
            install(tmp_path, storage_url="s3://b", **wrong)
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_does_not_exist_is_refused(self, tmp_path):
        """A misspelt folder is not made."""
        with pytest.raises(ConfigurationError, match="--dags-folder"):
            install(tmp_path / "dgas", storage_url="s3://b")

    def test_the_files_are_seen_by_airflow_as_dag_files(self, tmp_path):
        """Safe mode looks for the words dag and airflow."""
        install(tmp_path, loaders=1, storage_url="s3://b")
        text = (tmp_path / "workflow_core_loader_00.py").read_text().lower()
        assert "dag" in text
        assert "airflow" in text
