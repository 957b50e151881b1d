"""The contract of :class:`~workflow_core.ports.storage.StoragePort`.

Inherit from :class:`StorageContract` in a class that pytest collects, and override the fixtures of :class:`StorageSubject`.
:func:`storage_machine` compares an implementation with the fake over random histories.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from workflow_core.domain.workflow import SourceType
from workflow_core.errors import InvalidWorkflowSpec, StorageConflict, StorageUnavailable, WorkflowError
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.testing.together import together

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from workflow_core.ports.storage import StoragePort

MANUAL: Final = SourceType.MANUAL
CODE: Final = SourceType.CODE
NAME: Final = "iceberg.analytics.daily_clicks"
LIMIT: Final = 1_000_000


class BehindStorage(Protocol):
    """Direct access to the store without the implementation, so that a wrong write and a wrong read cannot cancel out."""

    prefix_url: str
    """The start of the URL of every object, such as ``s3://bucket/workflows/``."""

    def write(self, path: str, data: bytes) -> None:
        """Write an object below the prefix: ``manual/a.b.yaml``, or any other path."""

    def read(self, path: str) -> bytes | None:
        """The content of an object below the prefix, or None."""


class StorageSubject:
    """The fixtures that every suite of this contract needs."""

    @pytest.fixture
    def port(self) -> StoragePort:
        """The implementation with an empty store."""
        raise NotImplementedError

    @pytest.fixture
    def behind(self) -> BehindStorage:
        """Direct access to the store of ``port``."""
        raise NotImplementedError

    @pytest.fixture
    def unreachable(self) -> StoragePort:
        """An implementation whose store does not answer."""
        raise NotImplementedError


class StorageContract(StorageSubject):
    """All rules of the port as tests."""

    def test_the_url_is_prefix_source_and_name(self, port: StoragePort, behind: BehindStorage) -> None:
        """The URL of an object has these parts, whether or not the object exists."""
        assert port.url(MANUAL, NAME) == f"{behind.prefix_url}manual/{NAME}.yaml"
        assert port.url(CODE, NAME) == f"{behind.prefix_url}code/{NAME}.yaml"

    def test_put_writes_the_text(self, port: StoragePort, behind: BehindStorage) -> None:
        """The object at its path contains exactly the text as UTF-8, and no other object is written."""
        port.put(MANUAL, NAME, "version: v1 # ü 😀\r\n", expected=None)
        assert behind.read(f"manual/{NAME}.yaml") == "version: v1 # ü 😀\r\n".encode()
        assert behind.read(f"code/{NAME}.yaml") is None

    def test_get_reads_the_text(self, port: StoragePort, behind: BehindStorage) -> None:
        """The text is read byte for byte, with the ETag of the object."""
        behind.write(f"code/{NAME}.yaml", "name: ü\r\n".encode())
        spec = port.get(CODE, NAME, limit=LIMIT)
        assert spec is not None
        assert spec.text == "name: ü\r\n"
        listed = port.stat(CODE, NAME)
        assert listed is not None
        assert listed.etag == spec.etag

    def test_a_missing_object_is_none(self, port: StoragePort, behind: BehindStorage) -> None:
        """Without an object of exactly this name and source, get and stat return None, and delete returns False."""
        behind.write(f"code/{NAME}.yaml", b"x")
        behind.write(f"manual/{NAME}.yaml.yaml", b"x")
        assert port.get(MANUAL, NAME, limit=LIMIT) is None
        assert port.stat(MANUAL, NAME) is None
        assert port.delete(MANUAL, NAME) is False

    def test_put_returns_the_etag_of_the_object(self, port: StoragePort) -> None:
        """Put returns the ETag that get, stat and list return."""
        etag = port.put(MANUAL, NAME, "one", expected=None)
        spec, listed = port.get(MANUAL, NAME, limit=LIMIT), port.stat(MANUAL, NAME)
        assert spec is not None
        assert listed is not None
        assert {etag} == {spec.etag, listed.etag, *(ref.etag for ref in port.list(MANUAL))}

    def test_the_etag_changes_with_the_content(self, port: StoragePort, behind: BehindStorage) -> None:
        """Different content has a different ETag, also if its length is equal and it was written without the port."""
        first = port.put(MANUAL, NAME, "one", expected=None)
        second = port.put(MANUAL, NAME, "two", expected=first)
        behind.write(f"manual/{NAME}.yaml", b"six")
        third = port.stat(MANUAL, NAME)
        assert third is not None
        assert len({first, second, third.etag}) == 3

    def test_a_new_object_must_not_exist(self, port: StoragePort, behind: BehindStorage) -> None:
        """A put that expects no object over an existing object conflicts and writes nothing."""
        behind.write(f"manual/{NAME}.yaml", b"other")
        with pytest.raises(StorageConflict):
            port.put(MANUAL, NAME, "first", expected=None)
        assert behind.read(f"manual/{NAME}.yaml") == b"other"

    def test_a_replaced_object_must_be_the_expected_one(self, port: StoragePort, behind: BehindStorage) -> None:
        """A put with an outdated ETag conflicts and writes nothing."""
        etag = port.put(MANUAL, NAME, "one", expected=None)
        behind.write(f"manual/{NAME}.yaml", b"two")
        with pytest.raises(StorageConflict):
            port.put(MANUAL, NAME, "three", expected=etag)
        assert behind.read(f"manual/{NAME}.yaml") == b"two"

    def test_a_replaced_object_must_still_exist(self, port: StoragePort, behind: BehindStorage) -> None:
        """A put over a deleted object conflicts and does not create it again."""
        etag = port.put(MANUAL, NAME, "one", expected=None)
        port.delete(MANUAL, NAME)
        with pytest.raises(StorageConflict):
            port.put(MANUAL, NAME, "two", expected=etag)
        assert behind.read(f"manual/{NAME}.yaml") is None

    def test_a_repeated_put_with_the_right_etag_succeeds(self, port: StoragePort, behind: BehindStorage) -> None:
        """A put of the stored text with the right ETag does not conflict."""
        etag = port.put(MANUAL, NAME, "one", expected=None)
        second = port.put(MANUAL, NAME, "one", expected=etag)
        assert behind.read(f"manual/{NAME}.yaml") == b"one"
        listed = port.stat(MANUAL, NAME)
        assert listed is not None
        assert listed.etag == second

    def test_one_of_many_first_writers_succeeds(self, port: StoragePort, behind: BehindStorage) -> None:
        """If several callers concurrently expect no object, exactly one of them writes its text."""
        answers = together([partial(port.put, MANUAL, NAME, f"writer {n}", expected=None) for n in range(8)])
        (winner,) = [n for n, answer in enumerate(answers) if isinstance(answer, str)]
        assert sum(isinstance(answer, StorageConflict) for answer in answers) == 7
        assert behind.read(f"manual/{NAME}.yaml") == f"writer {winner}".encode()

    def test_one_of_many_replacing_writers_succeeds(self, port: StoragePort, behind: BehindStorage) -> None:
        """If several callers concurrently expect the same object, exactly one of them replaces it."""
        etag = port.put(MANUAL, NAME, "first", expected=None)
        answers = together([partial(port.put, MANUAL, NAME, f"writer {n}", expected=etag) for n in range(8)])
        (winner,) = [n for n, answer in enumerate(answers) if isinstance(answer, str)]
        assert sum(isinstance(answer, StorageConflict) for answer in answers) == 7
        assert behind.read(f"manual/{NAME}.yaml") == f"writer {winner}".encode()

    def test_a_read_is_never_partial(self, port: StoragePort) -> None:
        """While large texts replace each other, every read returns one complete text with its ETag."""
        texts = [letter * 200_000 for letter in "ab"]
        etag = port.put(MANUAL, NAME, texts[0], expected=None)
        reads: list[tuple[str, str]] = []
        done = Event()

        def read() -> None:
            while not done.is_set():
                spec = port.get(MANUAL, NAME, limit=LIMIT)
                reads.append((spec.text, spec.etag) if spec else ("", ""))

        reader = Thread(target=read)
        reader.start()
        written = {(texts[0], etag)}
        try:
            for turn in range(1, 21):
                etag = port.put(MANUAL, NAME, texts[turn % 2], expected=etag)
                written.add((texts[turn % 2], etag))
        finally:
            done.set()
            reader.join()
        assert reads
        assert set(reads) <= written

    def test_an_object_above_the_limit_is_refused(self, port: StoragePort) -> None:
        """The limit counts bytes: an object of exactly this size is read, a larger one is refused."""
        port.put(MANUAL, NAME, "é" * 50, expected=None)
        spec = port.get(MANUAL, NAME, limit=100)
        assert spec is not None
        assert spec.text == "é" * 50
        with pytest.raises(InvalidWorkflowSpec, match="99 bytes"):
            port.get(MANUAL, NAME, limit=99)

    def test_an_object_that_is_not_utf_8_is_refused(self, port: StoragePort, behind: BehindStorage) -> None:
        """Bytes that are not UTF-8 make the spec invalid; the error contains their position, not the bytes."""
        behind.write(f"code/{NAME}.yaml", b"name: \xff")
        with pytest.raises(InvalidWorkflowSpec, match="byte 7"):
            port.get(CODE, NAME, limit=LIMIT)

    def test_a_deleted_object_does_not_exist(self, port: StoragePort, behind: BehindStorage) -> None:
        """Delete returns True once and removes only this object."""
        for source in SourceType:
            port.put(source, NAME, "x", expected=None)
        assert port.delete(MANUAL, NAME) is True
        assert behind.read(f"manual/{NAME}.yaml") is None
        assert behind.read(f"code/{NAME}.yaml") == b"x"
        assert port.delete(MANUAL, NAME) is False

    def test_the_list_of_an_empty_store_is_empty(self, port: StoragePort) -> None:
        """A list without objects is empty and raises no error."""
        assert [*port.list(MANUAL)] == []

    def test_the_list_of_a_source_is_in_order_of_names(self, port: StoragePort, behind: BehindStorage) -> None:
        """A list contains only its source, by name in code-point order, which differs from the order of the file names."""
        names = ["a.b", "a.b-c", "a.B", "a._", "a.b.c", "a0.b"]
        for name in names:
            behind.write(f"manual/{name}.yaml", b"x")
        behind.write("code/a.code.yaml", b"x")
        assert [ref.dataset_name for ref in port.list(MANUAL)] == sorted(names)
        assert [(ref.source, ref.dataset_name) for ref in port.list(CODE)] == [(CODE, "a.code")]

    def test_other_files_are_not_listed(self, port: StoragePort, behind: BehindStorage) -> None:
        """Files that are not workflows, or whose names are invalid, are left out."""
        for path in (
            "README.md",
            "one.yaml",
            "a.b.yml",
            "-a.b.yaml",
            "a b.c.yaml",
            "a..b.yaml",
            "a.b.YAML",
            ".hidden.b.yaml",
            "x/a.b.yaml",
            "é.b.yaml",
        ):
            behind.write(f"manual/{path}", b"x")
        behind.write("manual/a.b.yaml", b"x")
        assert [ref.dataset_name for ref in port.list(MANUAL)] == ["a.b"]

    def test_a_long_list_is_complete(self, port: StoragePort, behind: BehindStorage) -> None:
        """A list with more objects than a page of any store is complete."""
        names = [f"many.w{number:04d}" for number in range(1005)]
        for name in names:
            behind.write(f"manual/{name}.yaml", b"x")
        assert [ref.dataset_name for ref in port.list(MANUAL)] == names

    def test_concurrent_changes_do_not_disturb_a_list(self, port: StoragePort, behind: BehindStorage) -> None:
        """While objects are written and deleted, every list succeeds, is in order, and contains the unchanged objects."""
        behind.write("manual/m.stays.yaml", b"x")
        done = Event()

        def write_and_delete() -> None:
            try:
                for _ in range(15):
                    for name in ("a.first", "z.last"):
                        port.put(MANUAL, name, "x", expected=None)
                    for name in ("a.first", "z.last"):
                        port.delete(MANUAL, name)
            finally:
                done.set()

        def list_all() -> list[list[str]]:
            listings = []
            while not done.is_set():
                listings.append([ref.dataset_name for ref in port.list(MANUAL)])
            return listings

        changed, lists = together([write_and_delete, list_all])
        assert changed is None
        assert isinstance(lists, list)
        assert lists
        assert all(names == sorted(names) and "m.stays" in names for names in lists)

    def test_a_list_contains_size_and_time(self, port: StoragePort, behind: BehindStorage) -> None:
        """A list and stat return the same size in bytes and the same aware time."""
        behind.write(f"manual/{NAME}.yaml", "é".encode())
        (ref,) = port.list(MANUAL)
        assert port.stat(MANUAL, NAME) == ref
        assert ref.size == 2
        assert ref.modified_at.tzinfo is not None

    def test_the_check_of_a_usable_store_passes(self, port: StoragePort) -> None:
        """The check returns if the store responds and permits reading."""
        port.check()

    @pytest.mark.parametrize(
        "call",
        [
            lambda port: port.put(MANUAL, NAME, "x", expected=None),
            lambda port: port.get(MANUAL, NAME, limit=LIMIT),
            lambda port: port.stat(MANUAL, NAME),
            lambda port: port.delete(MANUAL, NAME),
            lambda port: [*port.list(MANUAL)],
            lambda port: port.check(),
        ],
        ids=["put", "get", "stat", "delete", "list", "check"],
    )
    def test_without_a_store_every_method_raises(
        self, unreachable: StoragePort, call: Callable[[StoragePort], object]
    ) -> None:
        """Every method raises if the store does not respond; none returns the result of an empty store."""
        with pytest.raises(StorageUnavailable):
            call(unreachable)


NAMES: Final = ["a.b", "a.b-c", "a.B"]
_names = st.sampled_from(NAMES)
_sources = st.sampled_from(SourceType)
_texts = st.sampled_from(["", "one", "two", "ü\r\n", "x" * 60])


class StorageMachine(RuleBasedStateMachine):
    """A state machine; :func:`storage_machine` makes it."""

    subject: Callable[[], AbstractContextManager[StoragePort]]

    def __init__(self) -> None:
        super().__init__()
        self._open = ExitStack()
        self._port = self._open.enter_context(self.subject())
        self._oracle = InMemoryStorage()
        # the two stores have different ETags: pairs of the subject's and the oracle's ETag of one write
        self._etags: list[tuple[str, str]] = [("0" * 32, "unknown")]

    def teardown(self) -> None:
        """Close the subject."""
        self._open.close()

    @rule(source=_sources, name=_names, text=_texts, data=st.data())
    def put(self, source: SourceType, name: str, text: str, data: st.DataObject) -> None:
        """Put an object and expect no object, the current one or an earlier one."""
        expected = data.draw(st.none() | st.sampled_from(self._etags))
        current = self._current(source, name)
        if expected is not None and current is not None and (expected[0] == current[0]) != (expected[1] == current[1]):
            return  # equal content: a store may or may not use the same ETag again
        answers = [
            _answer(self._port.put, source, name, text, expected=expected and expected[0]),
            _answer(self._oracle.put, source, name, text, expected=expected and expected[1]),
        ]
        assert _kind(answers[0]) == _kind(answers[1])
        if isinstance(answers[0], str) and isinstance(answers[1], str):
            self._etags.append((answers[0], answers[1]))

    @rule(source=_sources, name=_names)
    def delete(self, source: SourceType, name: str) -> None:
        """Delete an object, which need not exist."""
        assert self._port.delete(source, name) == self._oracle.delete(source, name)

    @rule(source=_sources, name=_names, limit=st.sampled_from([3, 1000]))
    def get(self, source: SourceType, name: str, limit: int) -> None:
        """Get an object, which need not exist and may be too large."""
        result = _answer(self._port.get, source, name, limit=limit)
        expected = _answer(self._oracle.get, source, name, limit=limit)
        assert _kind(result) == _kind(expected)
        assert getattr(result, "text", None) == getattr(expected, "text", None)

    @invariant()
    def the_lists_agree(self) -> None:
        """After every step both stores list the same objects."""
        for source in SourceType:
            lists = [
                [(ref.dataset_name, ref.source, ref.size) for ref in store.list(source)]
                for store in (self._port, self._oracle)
            ]
            assert lists[0] == lists[1]

    def _current(self, source: SourceType, name: str) -> tuple[str, str] | None:
        ref, expected = self._port.stat(source, name), self._oracle.stat(source, name)
        return (ref.etag, expected.etag) if ref and expected else None


def _answer(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    try:
        return call(*arguments, **named)
    except WorkflowError as error:
        return error


def _kind(answer: Any) -> str:
    return type(answer).__name__


def storage_machine(subject: Callable[[], AbstractContextManager[StoragePort]]) -> type[StorageMachine]:
    """A state machine that compares ``subject()``, which returns an empty store, with the fake."""
    return type("BoundStorageMachine", (StorageMachine,), {"subject": staticmethod(subject)})
