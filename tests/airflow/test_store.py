"""The loader's calls to the object store, and its behaviour when the store does not respond."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from served import serialized
from test_loader import SPEC, world  # noqa: F401 - a fixture

from workflow_core.domain.served import read_mark
from workflow_core.domain.spec import spec_hash
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import ConfigurationError, StorageUnavailable
from workflow_core.fakes.storage import InMemoryStorage
from workflow_entrypoints.airflow import loader
from workflow_entrypoints.airflow.cache import CachedSpec, SpecCache
from workflow_entrypoints.airflow.install import install
from workflow_entrypoints.airflow.loader import load
from workflow_entrypoints.airflow.patience import PatientStorage
from workflow_entrypoints.airflow.settings import read_settings


def fail_get(world, monkeypatch, *names: str) -> None:  # noqa: F811
    """From now on these objects can be listed, but not read."""
    real = world.storage.get

    def get(source, name, **options):
        if name in names:
            world.storage.calls.append("get")
            raise StorageUnavailable("half down")
        return real(source, name, **options)

    monkeypatch.setattr(world.storage, "get", get)


class TestRequests:
    def test_a_task_of_a_code_workflow_costs_one_look(self, world):  # noqa: F811
        """CODE takes precedence over MANUAL."""
        world.put("a.one", source=SourceType.CODE)
        world.parse()
        assert "a_one" in world.parse(wanted="a_one")
        assert world.storage.calls == ["stat"]

    def test_a_task_of_the_sentinel_asks_for_nothing(self, world):  # noqa: F811
        """Airflow's user may start it by hand."""
        world.put("a.one")
        assert len(world.parse(wanted="workflow_core_loader_00_of_01")) == 1
        assert world.storage.calls == []

    def test_a_task_of_a_removed_workflow_finds_no_dag(self, world):  # noqa: F811
        """The cache does not bring it back while the store answers."""
        world.put("a.one")
        world.parse()
        world.storage.delete(SourceType.MANUAL, "a.one")
        assert world.parse(wanted="a_one") == {}

    def test_an_object_that_cannot_be_a_spec_is_read_once(self, world):  # noqa: F811
        """Too large, or no text: it stays so until its ETag changes."""
        world.put("a.bad", "x")
        (world.path / "store" / "workflows" / "manual" / "a.bad.yaml").write_bytes(b"\xff")
        world.parse()
        assert "UTF-8" in read_mark(world.parse()["a_bad"].doc_md).error
        assert world.storage.calls == ["list", "list"]

    def test_other_rules_check_the_cached_text_anew_without_reading_it_again(self, world, monkeypatch):  # noqa: F811
        """WORKFLOWS_ALLOWED_OPERATORS counts from the next parse on."""
        world.put("a.one")
        assert read_mark(world.parse()["a_one"].doc_md).error is None
        monkeypatch.setenv("WORKFLOWS_ALLOWED_OPERATORS", "*.EmptyOperator, *.Other")
        assert "not allowed" in read_mark(world.parse()["a_one"].doc_md).error
        assert world.storage.calls == ["list", "list"]

    def test_a_larger_limit_reads_an_object_that_was_too_large(self, world, monkeypatch):  # noqa: F811
        """Its text is not in the cache."""
        text = world.put("a.one")
        monkeypatch.setenv("WORKFLOWS_MAX_YAML_BYTES", "100")
        assert "100 bytes" in read_mark(world.parse()["a_one"].doc_md).error
        monkeypatch.delenv("WORKFLOWS_MAX_YAML_BYTES")
        assert read_mark(world.parse()["a_one"].doc_md).spec_hash == spec_hash(text)

    def test_another_release_checks_what_the_cache_holds_anew(self, world, monkeypatch):  # noqa: F811
        """What an older one let pass may be refused by now."""
        world.put("a.one")
        world.parse()
        checked = []
        real = loader.parse_complete_spec
        monkeypatch.setattr(
            loader, "parse_complete_spec", lambda *args, **rest: checked.append(1) or real(*args, **rest)
        )
        world.parse()
        assert checked == []
        monkeypatch.setattr(loader, "_CHECKS", "newer")
        world.parse()
        assert checked == [1]


class TestOutages:
    def test_an_object_that_cannot_be_read_is_served_as_last_known(self, world, monkeypatch):  # noqa: F811
        """The listing says that it is another one now."""
        before = world.put("a.one")
        world.parse()
        world.put("a.one", SPEC.format(name="a.one").replace("30 6", "45 6"))
        fail_get(world, monkeypatch, "a.one")
        assert read_mark(world.parse()["a_one"].doc_md).spec_hash == spec_hash(before)
        assert read_mark(world.parse(wanted="a_one")["a_one"].doc_md).spec_hash == spec_hash(before)

    def test_after_the_first_failure_the_store_is_left_alone(self, world, monkeypatch):  # noqa: F811
        """Each wait would bring the parse closer to Airflow's limit."""
        names = [f"a.w{number}" for number in range(5)]
        for name in names:
            world.put(name)
        world.parse()
        for name in names:
            world.put(name, SPEC.format(name=name).replace("30 6", "45 6"))
        fail_get(world, monkeypatch, *names)
        assert len(world.parse()) == 6
        assert world.storage.calls == ["list", "list", "get"]

    def test_a_new_object_that_cannot_be_read_hides_nothing_else(self, world, monkeypatch):  # noqa: F811
        """It is served by a later parse."""
        world.put("a.one")
        world.parse()
        world.put("a.two")
        fail_get(world, monkeypatch, "a.two")
        assert set(world.parse()) == {"workflow_core_loader_00_of_01", "a_one"}

    def test_a_task_without_cache_and_store_says_so(self, world):  # noqa: F811
        """Its log has the reason, rather than that there is no such DAG."""
        world.put("a.one")
        world.storage.down = True
        with pytest.raises(StorageUnavailable):
            world.parse(wanted="a_one")

    def test_listed_but_unreadable_and_unknown_is_an_import_error(self, world, monkeypatch):  # noqa: F811
        """An object that is listed but cannot be read, and is not in the cache, fails the parse if no other spec is known."""
        world.put("a.one")
        fail_get(world, monkeypatch, "a.one")
        with pytest.raises(StorageUnavailable):
            world.parse()

    def test_a_store_that_cannot_be_opened_is_an_outage(self, world, monkeypatch):  # noqa: F811
        """Credentials that boto3 cannot read, for example."""
        world.put("a.one")
        before = serialized(world.parse()["a_one"])

        def refuse(_url):
            raise StorageUnavailable("no credentials")

        monkeypatch.setattr(loader, "open_storage", refuse)
        assert serialized(world.parse()["a_one"]) == before

    def test_a_folder_that_is_gone_is_an_outage(self, world):  # noqa: F811
        """A drive that is not mounted lists as empty; a spec that is deleted leaves its folder."""
        world.put("a.one")
        before = serialized(world.parse()["a_one"])
        (world.path / "store" / "workflows").rename(world.path / "elsewhere")
        for _ in range(2):
            assert serialized(world.parse()["a_one"]) == before
            assert serialized(world.parse(wanted="a_one")["a_one"]) == before
        (world.path / "elsewhere").rename(world.path / "store" / "workflows")
        world.storage.delete(SourceType.MANUAL, "a.one")
        assert "a_one" not in world.parse()

    def test_the_cache_of_another_store_is_not_what_this_one_last_said(self, world, monkeypatch):  # noqa: F811
        """The setting was changed, and the new store is down."""
        world.put("a.one")
        world.parse()
        world.storage.down = True
        monkeypatch.setenv("WORKFLOWS_STORAGE_URL", "s3://other")
        with pytest.raises(StorageUnavailable):
            world.parse()


class TestPatience:
    def test_a_store_that_hangs_is_an_outage(self):
        """A dead server behind an open connection; Airflow would give up the whole file."""
        let_go = threading.Event()
        storage = InMemoryStorage()

        def hang(_source):
            let_go.wait()
            return iter(())

        storage.list = hang
        patient = PatientStorage(lambda: storage, seconds=0.05)
        began = time.monotonic()
        for _ in range(3):
            with pytest.raises(StorageUnavailable, match="too long"):
                patient.list(SourceType.CODE)
        assert time.monotonic() - began < 5
        let_go.set()

    def test_other_errors_are_raised_unchanged(self):
        """A programming error must not look like an outage."""

        def broken():
            raise ConfigurationError("no such store")

        with pytest.raises(ConfigurationError):
            PatientStorage(broken).list(SourceType.CODE)

    def test_answers_are_the_stores(self):
        """Also where there is nothing."""
        storage = InMemoryStorage()
        storage.put(SourceType.CODE, "a.b", "x", expected=None)
        patient = PatientStorage(lambda: storage)
        assert [ref.dataset_name for ref in patient.list(SourceType.CODE)] == ["a.b"]
        assert patient.get(SourceType.CODE, "a.b", limit=10).text == "x"
        assert patient.stat(SourceType.MANUAL, "a.b") is None


class TestCache:
    KEPT = CachedSpec(
        dataset_name="a.b",
        source=SourceType.CODE,
        etag="e",
        modified_at="2026-01-01T00:00:00+00:00",
        text="t",
        checked_by="c",
        error="wrong",
    )

    def test_what_is_put_is_got(self, tmp_path):
        """Another process of the host also reads a stored entry."""
        SpecCache(tmp_path / "new").put("a_b", self.KEPT)
        assert SpecCache(tmp_path / "new").get("a_b") == self.KEPT
        assert list(SpecCache(tmp_path / "new").dag_ids()) == ["a_b"]

    @pytest.mark.parametrize(
        "kept", ["", "{", "[]", "5", '{"source": "X"}', '{"source": "CODE", "etag": 5}', "[" * 5000]
    )
    def test_what_cannot_be_read_is_absent(self, tmp_path, kept):
        """Half a file, another format, another type."""
        (tmp_path / "a_b.json").write_text(kept)
        assert SpecCache(tmp_path).get("a_b") is None

    def test_many_writers_leave_one_whole_entry_and_nothing_else(self, tmp_path):
        """Every task's process may write; a reader sees a whole entry at any time."""
        texts = [str(number) * 50_000 for number in range(4)]
        seen: set[str | None] = set()
        cache = SpecCache(tmp_path)

        def write(text: str) -> None:
            for _ in range(25):
                cache.put("a_b", CachedSpec(**{**self.facts(), "text": text}))
                found = cache.get("a_b")
                seen.add(found.text if found else None)

        threads = [threading.Thread(target=write, args=(text,)) for text in texts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen <= set(texts)
        assert [path.name for path in tmp_path.iterdir()] == ["a_b.json"]

    def facts(self) -> dict:
        return {name: getattr(self.KEPT, name) for name in self.KEPT.__slots__ if not name.startswith("_")}

    def test_a_disk_that_cannot_be_written_costs_time_only(self, world, monkeypatch):  # noqa: F811
        """The cache folder's place is taken by a file."""
        (world.path / "taken").write_text("")
        monkeypatch.setenv("WORKFLOWS_LOADER_CACHE", str(world.path / "taken"))
        world.put("a.one")
        assert "a_one" in world.parse()
        assert "a_one" in world.parse()


class TestSettings:
    def test_the_environment_wins_and_is_read_at_each_parse(self, tmp_path):
        """Environment variables override the settings that `dli airflow install` wrote to the file."""
        path = install(tmp_path, storage_url="s3://file", cache_dir=tmp_path / "kept", loaders=1)[0]
        assert read_settings(path, {}).storage_url == "s3://file"
        assert read_settings(path, {}).cache == tmp_path / "kept"
        given = {
            "WORKFLOWS_STORAGE_URL": "s3://environment", "WORKFLOWS_LOADER_CACHE": "/c", "WORKFLOWS_ALLOWED_OPERATORS": "a.*, b.*",
            "WORKFLOWS_DEFAULT_TASK": '{"operator": "empty"}', "WORKFLOWS_MAX_YAML_BYTES": "5",
        }  # fmt: skip
        found = read_settings(path, given)
        assert (found.storage_url, found.cache, found.default_task) == (
            "s3://environment",
            Path("/c"),
            {"operator": "empty"},
        )
        assert (found.rules.operators, found.rules.max_bytes) == (("a.*", "b.*"), 5)

    def test_without_a_cache_folder_it_is_in_airflows_home(self, tmp_path):
        """Each host has its own."""
        path = install(tmp_path, storage_url="s3://b", loaders=1)[0]
        assert read_settings(path, {"AIRFLOW_HOME": "/h"}).cache == Path("/h/workflow_core_cache")

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"storage_url": "s3://b", "other": 1}'])
    def test_a_file_of_another_release_asks_for_a_new_installation(self, tmp_path, text):
        """As an import error that says what to do."""
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(ConfigurationError, match="dli airflow install"):
            load({}, index=0, loaders=1, config=tmp_path / "x.json")

    def test_a_loader_file_that_is_no_text_is_replaced(self, tmp_path):
        """A loader file with bytes that are not text is replaced by a new one."""
        (tmp_path / "workflow_core_loader_00.py").write_bytes(b"\xff\xfe")
        install(tmp_path, storage_url="s3://b", loaders=1)
        assert b"workflow_entrypoints.airflow.loader" in (tmp_path / "workflow_core_loader_00.py").read_bytes()
