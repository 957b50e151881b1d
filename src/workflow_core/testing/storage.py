"""The contract of :class:`~workflow_core.ports.storage.StoragePort`.

Inherit from :class:`StorageContract` in a class that pytest collects, and give the fixtures of :class:`StorageSubject`.
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
    """A look at the store that knows nothing of the implementation, so that a wrong write and a wrong read cannot cancel out."""

    prefix_url: str
    """What the URL of every object starts with: ``s3://bucket/workflows/``."""

    def write(self, path: str, data: bytes) -> None:
        """Write an object below the prefix: ``manual/a.b.yaml``, or any other path."""

    def read(self, path: str) -> bytes | None:
        """The content of an object below the prefix, or None."""


class StorageSubject:
    """The fixtures that every suite of this contract needs."""

    @pytest.fixture
    def port(self) -> StoragePort:
        """The implementation, empty."""
        raise NotImplementedError

    @pytest.fixture
    def behind(self) -> BehindStorage:
        """A look behind ``port``."""
        raise NotImplementedError

    @pytest.fixture
    def unreachable(self) -> StoragePort:
        """An implementation whose store does not answer."""
        raise NotImplementedError


class StorageContract(StorageSubject):
    """Every promise of the port, as tests."""

    def test_the_url_is_prefix_source_and_name(self, port: StoragePort, behind: BehindStorage) -> None:
        """The URL is that of the object, whether or not it exists."""
        assert port.url(MANUAL, NAME) == f"{behind.prefix_url}manual/{NAME}.yaml"
        assert port.url(CODE, NAME) == f"{behind.prefix_url}code/{NAME}.yaml"

    def test_what_is_put_is_there(self, port: StoragePort, behind: BehindStorage) -> None:
        """The object holds the text as UTF-8 under its path, and nothing else."""
        port.put(MANUAL, NAME, "version: v1 # ü 😀\r\n", expected=None)
        assert behind.read(f"manual/{NAME}.yaml") == "version: v1 # ü 😀\r\n".encode()
        assert behind.read(f"code/{NAME}.yaml") is None

    def test_what_is_there_is_got(self, port: StoragePort, behind: BehindStorage) -> None:
        """The text and the ETag of the object, byte for byte."""
        behind.write(f"code/{NAME}.yaml", "name: ü\r\n".encode())
        found = port.get(CODE, NAME, limit=LIMIT)
        assert found is not None
        assert found.text == "name: ü\r\n"
        listed = port.stat(CODE, NAME)
        assert listed is not None
        assert listed.etag == found.etag

    def test_what_is_not_there_is_none(self, port: StoragePort, behind: BehindStorage) -> None:
        """No object of this very name and source: None from get and stat, False from delete."""
        behind.write(f"code/{NAME}.yaml", b"x")
        behind.write(f"manual/{NAME}.yaml.yaml", b"x")
        assert port.get(MANUAL, NAME, limit=LIMIT) is None
        assert port.stat(MANUAL, NAME) is None
        assert port.delete(MANUAL, NAME) is False

    def test_put_answers_the_etag_of_what_is_there(self, port: StoragePort) -> None:
        """The ETag that put returned is the one that get, stat and list tell."""
        etag = port.put(MANUAL, NAME, "one", expected=None)
        found, listed = port.get(MANUAL, NAME, limit=LIMIT), port.stat(MANUAL, NAME)
        assert found is not None
        assert listed is not None
        assert {etag} == {found.etag, listed.etag, *(ref.etag for ref in port.list(MANUAL))}

    def test_the_etag_changes_with_the_content(self, port: StoragePort, behind: BehindStorage) -> None:
        """Another content has another ETag, also if it has the same length and was written behind the port."""
        first = port.put(MANUAL, NAME, "one", expected=None)
        second = port.put(MANUAL, NAME, "two", expected=first)
        behind.write(f"manual/{NAME}.yaml", b"six")
        third = port.stat(MANUAL, NAME)
        assert third is not None
        assert len({first, second, third.etag}) == 3

    def test_a_new_object_must_not_exist(self, port: StoragePort, behind: BehindStorage) -> None:
        """Putting a first version over an existing object conflicts and writes nothing."""
        behind.write(f"manual/{NAME}.yaml", b"theirs")
        with pytest.raises(StorageConflict):
            port.put(MANUAL, NAME, "mine", expected=None)
        assert behind.read(f"manual/{NAME}.yaml") == b"theirs"

    def test_a_replaced_object_must_be_the_expected_one(self, port: StoragePort, behind: BehindStorage) -> None:
        """Putting over a state that was not seen conflicts and writes nothing."""
        seen = port.put(MANUAL, NAME, "one", expected=None)
        behind.write(f"manual/{NAME}.yaml", b"two")
        with pytest.raises(StorageConflict):
            port.put(MANUAL, NAME, "three", expected=seen)
        assert behind.read(f"manual/{NAME}.yaml") == b"two"

    def test_a_replaced_object_must_still_exist(self, port: StoragePort, behind: BehindStorage) -> None:
        """Putting over an object that is gone conflicts, and does not bring it back."""
        seen = port.put(MANUAL, NAME, "one", expected=None)
        port.delete(MANUAL, NAME)
        with pytest.raises(StorageConflict):
            port.put(MANUAL, NAME, "two", expected=seen)
        assert behind.read(f"manual/{NAME}.yaml") is None

    def test_the_same_text_again_under_the_right_etag_succeeds(self, port: StoragePort, behind: BehindStorage) -> None:
        """A repeat of a write that is expected is no conflict."""
        etag = port.put(MANUAL, NAME, "one", expected=None)
        again = port.put(MANUAL, NAME, "one", expected=etag)
        assert behind.read(f"manual/{NAME}.yaml") == b"one"
        listed = port.stat(MANUAL, NAME)
        assert listed is not None
        assert listed.etag == again

    def test_of_many_first_writers_one_succeeds(self, port: StoragePort, behind: BehindStorage) -> None:
        """Of several at the same time that expect no object, exactly one writes, and its text is there."""
        answers = together([partial(port.put, MANUAL, NAME, f"writer {n}", expected=None) for n in range(8)])
        (winner,) = [n for n, answer in enumerate(answers) if isinstance(answer, str)]
        assert sum(isinstance(answer, StorageConflict) for answer in answers) == 7
        assert behind.read(f"manual/{NAME}.yaml") == f"writer {winner}".encode()

    def test_of_many_replacing_writers_one_succeeds(self, port: StoragePort, behind: BehindStorage) -> None:
        """Of several at the same time that expect the same object, exactly one replaces it."""
        seen = port.put(MANUAL, NAME, "first", expected=None)
        answers = together([partial(port.put, MANUAL, NAME, f"writer {n}", expected=seen) for n in range(8)])
        (winner,) = [n for n, answer in enumerate(answers) if isinstance(answer, str)]
        assert sum(isinstance(answer, StorageConflict) for answer in answers) == 7
        assert behind.read(f"manual/{NAME}.yaml") == f"writer {winner}".encode()

    def test_a_reader_never_sees_half_a_write(self, port: StoragePort) -> None:
        """While large texts replace each other, every read is one of them, whole, under its own ETag."""
        texts = [letter * 200_000 for letter in "ab"]
        known = {texts[0]: port.put(MANUAL, NAME, texts[0], expected=None)}
        seen: list[tuple[str, str]] = []
        done = Event()

        def read() -> None:
            while not done.is_set():
                found = port.get(MANUAL, NAME, limit=LIMIT)
                seen.append((found.text, found.etag) if found else ("", ""))

        reader = Thread(target=read)
        reader.start()
        pairs: set[tuple[str, str]] = set(known.items())
        try:
            etag = known[texts[0]]
            for turn in range(1, 21):
                etag = port.put(MANUAL, NAME, texts[turn % 2], expected=etag)
                pairs.add((texts[turn % 2], etag))
        finally:
            done.set()
            reader.join()
        assert seen
        assert set(seen) <= pairs

    def test_an_object_at_the_limit_is_read_and_one_over_it_refused(self, port: StoragePort) -> None:
        """The limit counts bytes."""
        port.put(MANUAL, NAME, "é" * 50, expected=None)
        found = port.get(MANUAL, NAME, limit=100)
        assert found is not None
        assert found.text == "é" * 50
        with pytest.raises(InvalidWorkflowSpec, match="99 bytes"):
            port.get(MANUAL, NAME, limit=99)

    def test_an_object_that_is_no_text_is_refused(self, port: StoragePort, behind: BehindStorage) -> None:
        """Bytes that are not UTF-8 are an error of the spec, with the place and without the bytes."""
        behind.write(f"code/{NAME}.yaml", b"name: \xff")
        with pytest.raises(InvalidWorkflowSpec, match="byte 7"):
            port.get(CODE, NAME, limit=LIMIT)

    def test_a_deleted_object_is_gone(self, port: StoragePort, behind: BehindStorage) -> None:
        """Delete answers True once, and removes that object only."""
        for source in SourceType:
            port.put(source, NAME, "x", expected=None)
        assert port.delete(MANUAL, NAME) is True
        assert behind.read(f"manual/{NAME}.yaml") is None
        assert behind.read(f"code/{NAME}.yaml") == b"x"
        assert port.delete(MANUAL, NAME) is False

    def test_an_empty_store_lists_nothing(self, port: StoragePort) -> None:
        """No objects: an empty listing, not an error."""
        assert [*port.list(MANUAL)] == []

    def test_the_list_is_of_one_source_in_order_of_names(self, port: StoragePort, behind: BehindStorage) -> None:
        """By name in code-point order, which is not the order of the files' names."""
        names = ["a.b", "a.b-c", "a.B", "a._", "a.b.c", "a0.b"]
        for name in names:
            behind.write(f"manual/{name}.yaml", b"x")
        behind.write("code/a.code.yaml", b"x")
        assert [ref.dataset_name for ref in port.list(MANUAL)] == sorted(names)
        assert [(ref.source, ref.dataset_name) for ref in port.list(CODE)] == [(CODE, "a.code")]

    def test_what_is_no_workflow_is_not_listed(self, port: StoragePort, behind: BehindStorage) -> None:
        """Other files, and names that are not legal, are left out."""
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
        """More objects than any store tells at once."""
        names = [f"many.w{number:04d}" for number in range(1005)]
        for name in names:
            behind.write(f"manual/{name}.yaml", b"x")
        assert [ref.dataset_name for ref in port.list(MANUAL)] == names

    def test_objects_that_come_and_go_do_not_disturb_a_listing(self, port: StoragePort, behind: BehindStorage) -> None:
        """While others are written and deleted, every listing is without error, in order, and has what was there all the time."""
        behind.write("manual/m.stays.yaml", b"x")
        done = Event()

        def come_and_go() -> None:
            try:
                for _ in range(15):
                    for name in ("a.first", "z.last"):
                        port.put(MANUAL, name, "x", expected=None)
                    for name in ("a.first", "z.last"):
                        port.delete(MANUAL, name)
            finally:
                done.set()

        def look() -> list[list[str]]:
            listings = []
            while not done.is_set():
                listings.append([ref.dataset_name for ref in port.list(MANUAL)])
            return listings

        changed, seen = together([come_and_go, look])
        assert changed is None
        assert isinstance(seen, list)
        assert seen
        assert all(names == sorted(names) and "m.stays" in names for names in seen)

    def test_a_listing_tells_size_and_time(self, port: StoragePort, behind: BehindStorage) -> None:
        """What stat tells is what the listing tells: bytes, and an aware time."""
        behind.write(f"manual/{NAME}.yaml", "é".encode())
        (ref,) = port.list(MANUAL)
        assert port.stat(MANUAL, NAME) == ref
        assert ref.size == 2
        assert ref.modified_at.tzinfo is not None

    def test_the_store_is_checked(self, port: StoragePort) -> None:
        """A store that may be used passes."""
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
    def test_a_store_that_does_not_answer_is_unavailable(
        self, unreachable: StoragePort, call: Callable[[StoragePort], object]
    ) -> None:
        """Every method says so; none answers as if the store were empty."""
        with pytest.raises(StorageUnavailable):
            call(unreachable)


NAMES: Final = ["a.b", "a.b-c", "a.B"]
_names = st.sampled_from(NAMES)
_sources = st.sampled_from(SourceType)
_texts = st.sampled_from(["", "one", "two", "ü\r\n", "x" * 60])


class StorageMachine(RuleBasedStateMachine):
    """Use :func:`storage_machine`."""

    subject: Callable[[], AbstractContextManager[StoragePort]]

    def __init__(self) -> None:
        super().__init__()
        self._open = ExitStack()
        self._port = self._open.enter_context(self.subject())
        self._oracle = InMemoryStorage()
        # ETags are each store's own: pairs of (the subject's, the oracle's) that were handed out
        self._etags: list[tuple[str, str]] = [("0" * 32, "unknown")]

    def teardown(self) -> None:
        """Give the subject back."""
        self._open.close()

    @rule(source=_sources, name=_names, text=_texts, data=st.data())
    def put(self, source: SourceType, name: str, text: str, data: st.DataObject) -> None:
        """Put, expecting nothing, the current state, or some earlier one."""
        expected = data.draw(st.none() | st.sampled_from(self._etags))
        current = self._current(source, name)
        if expected is not None and current is not None and (expected[0] == current[0]) != (expected[1] == current[1]):
            return  # one content twice: whether its ETag is the same again is the store's own affair
        answers = [
            _answer(self._port.put, source, name, text, expected=expected and expected[0]),
            _answer(self._oracle.put, source, name, text, expected=expected and expected[1]),
        ]
        assert _kind(answers[0]) == _kind(answers[1])
        if isinstance(answers[0], str) and isinstance(answers[1], str):
            self._etags.append((answers[0], answers[1]))

    @rule(source=_sources, name=_names)
    def delete(self, source: SourceType, name: str) -> None:
        """Delete what may not be there."""
        assert self._port.delete(source, name) == self._oracle.delete(source, name)

    @rule(source=_sources, name=_names, limit=st.sampled_from([3, 1000]))
    def get(self, source: SourceType, name: str, limit: int) -> None:
        """Get what may not be there, or be too large."""
        ours = _answer(self._port.get, source, name, limit=limit)
        theirs = _answer(self._oracle.get, source, name, limit=limit)
        assert _kind(ours) == _kind(theirs)
        assert getattr(ours, "text", None) == getattr(theirs, "text", None)

    @invariant()
    def the_lists_agree(self) -> None:
        """After every step both tell the same objects."""
        for source in SourceType:
            told = [
                [(ref.dataset_name, ref.source, ref.size) for ref in store.list(source)]
                for store in (self._port, self._oracle)
            ]
            assert told[0] == told[1]

    def _current(self, source: SourceType, name: str) -> tuple[str, str] | None:
        ours, theirs = self._port.stat(source, name), self._oracle.stat(source, name)
        return (ours.etag, theirs.etag) if ours and theirs else None


def _answer(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    try:
        return call(*arguments, **named)
    except WorkflowError as error:
        return error


def _kind(answer: Any) -> str:
    return type(answer).__name__


def storage_machine(subject: Callable[[], AbstractContextManager[StoragePort]]) -> type[StorageMachine]:
    """A state machine that holds ``subject()``, an empty store each time, against the fake."""
    return type("BoundStorageMachine", (StorageMachine,), {"subject": staticmethod(subject)})
