"""Tests of storage beyond the contract of ``StoragePort``: unusual directory entries, S3 faults and URLs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

import boto3
import pytest
from attrs import field, frozen

from workflow_adapters.storage import open_storage
from workflow_adapters.storage.filesystem import FilesystemStorage
from workflow_adapters.storage.s3 import S3Storage, s3_client
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import (
    ConfigurationError,
    InvalidRequest,
    InvalidWorkflowSpec,
    StorageConflict,
    StorageUnavailable,
)

MANUAL = SourceType.MANUAL
NAME = "a.b"
CALLS = {
    "put": lambda store: store.put(MANUAL, NAME, "mine", expected=None),
    "get": lambda store: store.get(MANUAL, NAME, limit=1000),
    "stat": lambda store: store.stat(MANUAL, NAME),
    "delete": lambda store: store.delete(MANUAL, NAME),
    "list": lambda store: [*store.list(MANUAL)],
    "check": lambda store: store.check(),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
every_call_on_an_object = pytest.mark.parametrize(
    "call",
    [CALLS[name] for name in ("put", "get", "stat", "delete", "list")],
    ids=["put", "get", "stat", "delete", "list"],
)


# A folder.


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def folder(root):
    """The folder of the MANUAL objects."""
    made = root / "workflows" / "manual"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def store(root):
    return FilesystemStorage(root)


@pytest.fixture
def outside(tmp_path):
    """A file outside of the root, which must not be read or changed."""
    file = tmp_path / "outside" / f"{NAME}.yaml"
    file.parent.mkdir()
    file.write_text("theirs")
    return file


@pytest.fixture(params=["folder", "link", "dangling link", "pipe"])
def odd(request, folder, outside):
    """A directory entry other than a file, under the name of an object."""
    entry = folder / f"{NAME}.yaml"
    match request.param:
        case "folder":
            entry.mkdir()
        case "link":
            entry.symlink_to(outside)
        case "dangling link":
            entry.symlink_to(outside.with_name("nothing"))
        case "pipe":
            os.mkfifo(entry)
    return entry


def test_an_entry_that_is_not_a_file_is_not_an_object(store, odd):
    """Folders, links and pipes are neither read nor listed nor deleted."""
    assert store.get(MANUAL, NAME, limit=1000) is None
    assert store.stat(MANUAL, NAME) is None
    assert [*store.list(MANUAL)] == []
    assert store.delete(MANUAL, NAME) is False
    assert os.path.lexists(odd)


def test_an_entry_that_is_not_a_file_leaks_no_handle(store, odd):
    """A service that meets one in each listing does not run out of file handles."""
    store.stat(MANUAL, NAME)
    before = _open_handles()
    for _ in range(20):
        store.stat(MANUAL, NAME)
        store.get(MANUAL, NAME, limit=1000)
    assert _open_handles() == before


def _open_handles() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def test_a_write_replaces_a_link_and_not_its_target(store, folder, outside):
    """The object replaces the link; the file outside is unchanged."""
    (folder / f"{NAME}.yaml").symlink_to(outside)
    store.put(MANUAL, NAME, "mine", expected=None)
    assert outside.read_text() == "theirs"
    assert (folder / f"{NAME}.yaml").read_text() == "mine"


@pytest.mark.parametrize("linked", ["workflows", "workflows/manual"])
@every_call_on_an_object
def test_a_link_in_place_of_a_folder_is_rejected(root, store, outside, linked, call):
    """A folder below the root that links elsewhere is an outage: nothing is read, written or deleted there."""
    target = outside.parent
    if linked == "workflows":
        target = outside.parent.parent / "parent"
        target.mkdir()
        (target / "manual").symlink_to(outside.parent)
    (root / linked).parent.mkdir(parents=True)
    (root / linked).symlink_to(target)
    with pytest.raises(StorageUnavailable, match="symbolic link"):
        call(store)
    assert [(file.name, file.read_text()) for file in outside.parent.iterdir()] == [(f"{NAME}.yaml", "theirs")]


def test_the_root_may_be_a_link(tmp_path, folder, root):
    """A checkout or a mount that is switched by a link can be served."""
    (tmp_path / "current").symlink_to(root)
    store = FilesystemStorage(tmp_path / "current")
    store.put(MANUAL, NAME, "mine", expected=None)
    assert (folder / f"{NAME}.yaml").read_text() == "mine"
    assert [ref.dataset_name for ref in store.list(MANUAL)] == [NAME]


@pytest.mark.parametrize("name", ["../../../outside/a.b", "/tmp/a.b", "x/../a.b", "a.b\0", ".."])
@pytest.mark.parametrize(
    "call",
    [
        lambda store, name: store.put(MANUAL, name, "mine", expected=None),
        lambda store, name: store.get(MANUAL, name, limit=1000),
        lambda store, name: store.stat(MANUAL, name),
        lambda store, name: store.delete(MANUAL, name),
    ],
    ids=["put", "get", "stat", "delete"],
)
def test_no_name_leads_out_of_the_root(tmp_path, store, outside, name, call):
    """An invalid name is rejected, although the caller should have validated it."""
    with pytest.raises(InvalidRequest):
        call(store, name)
    assert sorted(file.name for file in tmp_path.rglob("*.yaml")) == [outside.name]
    assert outside.read_text() == "theirs"


def test_leftovers_of_a_dead_writer_are_not_listed(store, folder):
    """Half-written files and the lock are not objects."""
    store.put(MANUAL, NAME, "mine", expected=None)
    (folder / ".abc.half").write_text("ha")
    assert [ref.dataset_name for ref in store.list(MANUAL)] == [NAME]


@pytest.mark.parametrize("place", ["store", "store/workflows", "store/workflows/manual"])
@every_call_on_an_object
def test_a_file_in_place_of_a_folder_is_an_outage(tmp_path, root, store, place, call):
    """It is reported, and never taken for an empty store."""
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text("a file")
    with pytest.raises(StorageUnavailable):
        call(store)


@every_call
def test_an_unreadable_folder_is_an_outage(store, folder, call, monkeypatch):
    """The error contains the system's message without the path."""
    (folder / f"{NAME}.yaml").write_text("theirs")

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "no", str(folder))

    # permission bits do not stop root, as whom containers run tests
    for function in ("open", "scandir", "listdir", "lstat", "unlink"):
        monkeypatch.setattr(os, function, refuse)
    with pytest.raises(StorageUnavailable) as caught:
        call(store)
    assert (
        caught.value.message
        == "The object store's folder cannot be used: Permission denied. Check WORKFLOWS_STORAGE_URL."
    )


def test_a_failed_write_leaves_the_old_object(store, folder, monkeypatch):
    """With a full disk, the old object is complete, and no part of the new one remains."""
    etag = store.put(MANUAL, NAME, "first", expected=None)

    def full(_handle):
        raise OSError(28, "no")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageUnavailable, match="No space left"):
        store.put(MANUAL, NAME, "second", expected=etag)
    assert {file.name: file.read_text() for file in folder.iterdir()} == {f"{NAME}.yaml": "first"}


def test_new_folders_are_synced_to_disk(root, store, monkeypatch):
    """A file survives a crash only if the folders that contain it do."""
    synced = set()
    fsync = os.fsync

    def note(handle):
        synced.add(Path(f"/proc/self/fd/{handle}").readlink())
        fsync(handle)

    monkeypatch.setattr(os, "fsync", note)
    store.put(MANUAL, NAME, "x", expected=None)
    made = {root.parent, root, root / "workflows", root / "workflows" / "manual"}
    assert made <= synced


def test_reading_creates_nothing(root, store):
    """Readers, such as Airflow's user, need no write permission."""
    store.check()
    assert [*store.list(MANUAL)] == []
    assert store.get(MANUAL, NAME, limit=1000) is None
    assert not root.exists()


def test_an_object_can_be_read_by_other_users(store, folder):
    """The service writes, Airflow's user reads."""
    store.put(MANUAL, NAME, "x", expected=None)
    assert (folder / f"{NAME}.yaml").stat().st_mode & 0o777 == 0o644


COUNT_UP = """
import sys
from pathlib import Path
from workflow_adapters.storage.filesystem import FilesystemStorage
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import StorageConflict

store = FilesystemStorage(Path(sys.argv[1]))
for _ in range(25):
    while True:
        found = store.get(SourceType.MANUAL, "a.b", limit=100)
        try:
            store.put(SourceType.MANUAL, "a.b", str(int(found.text) + 1), expected=found.etag)
            break
        except StorageConflict:
            pass
"""


def test_processes_exclude_each_other(store, root):
    """If four processes increment one object at the same time, no increment is lost."""
    store.put(MANUAL, NAME, "0", expected=None)
    counters = [subprocess.Popen([sys.executable, "-c", COUNT_UP, str(root)]) for _ in range(4)]
    assert [counter.wait(timeout=60) for counter in counters] == [0, 0, 0, 0]
    assert store.get(MANUAL, NAME, limit=100).text == "100"


# Answers that no S3 server gives on demand.


@frozen
class Answer:
    """A response of the server; ``announced`` is the Content-Length if it differs from the body's."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(factory=dict)
    announced: int | None = None
    lost: bool = False
    """Take the request and hang up."""
    held: bool = False
    """Keep the connection open after the body, or without an answer where there is none."""


LOST = Answer(lost=True)
SILENCE = Answer(held=True)


def refusal(status: int, code: str) -> Answer:
    """An error in S3's format, with a text that must not be repeated."""
    body = f"<Error><Code>{code}</Code><Message>SECRET of theirs</Message></Error>"
    return Answer(status, body.encode(), {"Content-Type": "application/xml"})


def page(*names: str, truncated: bool = False, token: str = "") -> Answer:
    """A page of a listing."""
    contents = "".join(
        f"<Contents><Key>workflows/manual/{name}.yaml</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>"
        f'<ETag>"{name}"</ETag><Size>1</Size></Contents>'
        for name in names
    )
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    text = f"<ListBucketResult><IsTruncated>{str(truncated).lower()}</IsTruncated>{more}{contents}</ListBucketResult>"
    return Answer(200, text.encode(), {"Content-Type": "application/xml"})


class Scripted:
    """A server that returns the scripted responses in turn, repeats the last one, and records the requests."""

    def __init__(self, answers: list[Answer]) -> None:
        self.requests: list[str] = []
        self._over = Event()
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                understood = self.raw_requestline and self.parse_request()
                self.close_connection = True  # parse_request has decided otherwise
                if not understood:
                    return
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                scripted.requests.append(self.command)
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if not answer.lost and answer != SILENCE:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(answer.announced or len(answer.body)))
                    self.send_header(
                        "Connection", "close"
                    )  # or the client may send the next request into the closing one
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(answer.body)
                if answer.held:
                    scripted._over.wait(30)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def session():
    """One boto3 session: loading its models for each client takes ten times as long as the test."""
    return boto3.session.Session()


@pytest.fixture
def s3_that(session, monkeypatch):
    """A factory of ``S3Storage`` with a server that gives these responses."""
    monkeypatch.setattr(boto3.session, "Session", lambda: session)
    with ExitStack() as opened:

        def make(*answers: Answer, attempts: int = 1, read_timeout: float = 5.0) -> tuple[S3Storage, Scripted]:
            server = opened.enter_context(Scripted(list(answers)))
            client = s3_client(
                endpoint_url=server.endpoint_url,
                aws_access_key_id="x",
                aws_secret_access_key="x",
                region_name="us-east-1",
                read_timeout=read_timeout,
                attempts=attempts,
            )
            opened.callback(client.close)
            return S3Storage(client, "bucket"), server

        yield make


@pytest.mark.parametrize(
    "answer",
    [
        Answer(),
        Answer(200, b"<html><b>SECRET</b></html>", {"Content-Type": "text/html"}),
        Answer(200, b"<html><b>SECRET", {"Content-Type": "text/html"}),
        Answer(301, b"SECRET", {"Location": "https://elsewhere.invalid/"}),
        Answer(400, b"SECRET"),
        Answer(404, b"SECRET"),
        Answer(502, b"SECRET"),
        refusal(403, "AccessDenied"),
        refusal(404, "NoSuchBucket"),
        refusal(501, "NotImplemented"),
        refusal(503, "SlowDown"),
        LOST,
    ],
    ids=[
        "blank",
        "page",
        "broken page",
        "redirect",
        "400",
        "404",
        "502",
        "denied",
        "no bucket",
        "unknown",
        "slow",
        "lost",
    ],
)
@every_call
def test_an_invalid_s3_response_is_an_outage(s3_that, answer, call):
    """It is never taken for an empty store or a success, is not repeated, and does not cause endless requests."""
    store, server = s3_that(answer)
    with pytest.raises(StorageUnavailable) as caught:
        call(store)
    assert "SECRET" not in caught.value.message
    assert len(server.requests) <= 2


@every_call
def test_silence_ends_in_bounded_time(s3_that, call):
    """A server that never responds costs the read timeout for each attempt, and little more."""
    store, _ = s3_that(SILENCE, read_timeout=0.2)
    started = time.monotonic()
    with pytest.raises(StorageUnavailable):
        call(store)
    assert time.monotonic() - started < 3


def test_a_truncated_object_is_rejected(s3_that):
    """A connection that ends early is an outage, not a shorter text."""
    store, _ = s3_that(Answer(200, b"half", {"ETag": '"e"'}, announced=100))
    with pytest.raises(StorageUnavailable):
        store.get(MANUAL, NAME, limit=1000)


def test_an_object_with_a_wrong_checksum_is_rejected(s3_that):
    """A text that was changed in transit is an outage."""
    store, _ = s3_that(Answer(200, b"text", {"ETag": '"e"', "x-amz-checksum-crc32": "AAAAAA=="}))
    with pytest.raises(StorageUnavailable):
        store.get(MANUAL, NAME, limit=1000)


def test_an_object_over_the_limit_is_not_read_completely(s3_that):
    """One byte over the limit suffices for the rejection; the rest, which never arrives in this test, is not awaited."""
    store, _ = s3_that(Answer(200, b"x" * 5000, {"ETag": '"e"'}, announced=10**12, held=True))
    with pytest.raises(InvalidWorkflowSpec):
        store.get(MANUAL, NAME, limit=1000)


def test_a_listing_that_fails_half_way_returns_nothing(s3_that):
    """No object of the first page is returned before the second page has arrived."""
    store, _ = s3_that(page("a.b", truncated=True, token="more"), refusal(503, "SlowDown"))
    with pytest.raises(StorageUnavailable):
        next(store.list(MANUAL))


def test_a_listing_without_its_next_token_is_an_outage(s3_that):
    """The first page announces another one without its token, so that it is not the whole."""
    store, _ = s3_that(page("a.b", truncated=True))
    with pytest.raises(StorageUnavailable):
        [*store.list(MANUAL)]


def test_pages_are_combined(s3_that):
    """All pages are sorted by name as one list."""
    store, _ = s3_that(page("c.d", "a.b-c", truncated=True, token="more"), page("a.b"))
    assert [ref.dataset_name for ref in store.list(MANUAL)] == ["a.b", "a.b-c", "c.d"]


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        (None, refusal(412, "PreconditionFailed")),
        (None, refusal(409, "ConditionalRequestConflict")),
        ('"e"', refusal(412, "PreconditionFailed")),
        ('"e"', refusal(404, "NoSuchKey")),
    ],
    ids=["exists", "at the same time", "changed", "gone"],
)
def test_a_failed_condition_is_a_conflict(s3_that, expected, answer):
    """It is raised without another request."""
    store, server = s3_that(answer)
    with pytest.raises(StorageConflict):
        store.put(MANUAL, NAME, "mine", expected=expected)
    assert server.requests == ["PUT"]


@pytest.mark.parametrize("expected", [None, '"e"'])
def test_a_write_with_a_lost_response_succeeds_if_it_had_its_effect(s3_that, expected):
    """The second attempt conflicts with the first; the stored object is the written one."""
    store, server = s3_that(
        LOST, refusal(412, "PreconditionFailed"), Answer(200, b"mine", {"ETag": '"ours"'}), attempts=2
    )
    assert store.put(MANUAL, NAME, "mine", expected=expected) == '"ours"'
    assert server.requests == ["PUT", "PUT", "GET"]


@pytest.mark.parametrize(
    "there",
    [
        Answer(200, b"theirs", {"ETag": '"e"'}),
        Answer(200, b"mine and more", {"ETag": '"e"'}),
        refusal(404, "NoSuchKey"),
    ],
    ids=["another", "longer", "gone"],
)
def test_a_write_with_a_lost_response_conflicts_with_another_object(s3_that, there):
    """The second attempt conflicts with an object of another writer."""
    store, _ = s3_that(LOST, refusal(412, "PreconditionFailed"), there, attempts=2)
    with pytest.raises(StorageConflict):
        store.put(MANUAL, NAME, "mine", expected=None)


# URLs.


@pytest.fixture
def aws(monkeypatch, tmp_path):
    """An isolated environment for boto3."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("url", "first"),
    [
        ("s3://bucket", "s3://bucket/workflows/manual/a.b.yaml"),
        ("s3://bucket/", "s3://bucket/manual/a.b.yaml"),
        ("s3://bucket/a/b", "s3://bucket/a/b/manual/a.b.yaml"),
        ("s3://bucket/a/b/", "s3://bucket/a/b/manual/a.b.yaml"),
        ("s3://bucket/a%20b", "s3://bucket/a%20b/manual/a.b.yaml"),
        ("file:///srv/store", "file:///srv/store/workflows/manual/a.b.yaml"),
        ("file:///srv/my%20store", "file:///srv/my%20store/workflows/manual/a.b.yaml"),
        ("memory://", "memory://workflows/manual/a.b.yaml"),
    ],
)
def test_a_url_names_a_store(aws, url, first):
    """The URL has scheme, bucket or folder, and prefix."""
    store = open_storage(url)
    assert store.url(MANUAL, NAME) == first
    if isinstance(store, S3Storage):
        store.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "workflows",
        "/srv/store",
        "s3://",
        "s3:///prefix",
        "s3://[bucket",
        "s3://bu cket",
        "s3://bucket?region=x",
        "s3://bucket/a#b",
        "file://host/store",
        "file:store",
        "file:///store?x",
        "file:///a%00b",
        "memory://somewhere",
        "gs://bucket",
        "https://bucket.s3.amazonaws.com",
    ],
)
def test_other_urls_are_rejected(url):
    """The error contains the expected form."""
    with pytest.raises(ConfigurationError, match="write s3://bucket/prefix, file:///folder or memory://"):
        open_storage(url)


@pytest.mark.parametrize("url", ["s3://key:pa/ss@bucket", "gs://key:pa/ss@bucket", "s3:key:pa/ss@bucket"])
def test_a_password_in_a_url_is_not_repeated(url):
    """Credentials in the URL do not appear in a log."""
    with pytest.raises(ConfigurationError) as caught:
        open_storage(url)
    assert "pa/" not in caught.value.message
    assert "ss@" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "value"), [("AWS_ENDPOINT_URL", "nonsense"), ("AWS_PROFILE", "missing")], ids=["endpoint", "profile"]
)
def test_an_unusable_boto3_environment_is_a_configuration_error(aws, monkeypatch, name, value):
    """The error is raised when the store is opened, not at the first request."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        open_storage("s3://bucket")


def test_options_reach_the_client(aws):
    """The caller that opens the store can set timeouts and the endpoint."""
    store = open_storage("s3://bucket", endpoint_url="http://127.0.0.1:1", connect_timeout=1.5, read_timeout=2.5)
    assert isinstance(store, S3Storage)
    config: Any = store._client.meta.config
    assert store._client.meta.endpoint_url == "http://127.0.0.1:1"
    assert (config.connect_timeout, config.read_timeout) == (1.5, 2.5)
    store.close()


def test_a_folder_needs_no_boto3(tmp_path):
    """Airflow, which imports this module often, loads boto3 only for S3."""
    code = (
        "import sys; from workflow_adapters.storage import open_storage; store = open_storage(sys.argv[1]); store.check();"
        " print({'boto3', 'botocore'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, Path(tmp_path).as_uri()], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "set()\n"
