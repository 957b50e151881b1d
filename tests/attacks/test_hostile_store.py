"""Tests of the object storage with a hostile store, over real sockets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.attacks.hostile import CANARY, ReceivedRequest, answer, hostile
from workflow_adapters.storage.bounded import MAX_ANSWER
from workflow_adapters.storage.s3 import S3Storage, s3_client
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import InvalidWorkflowSpec, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "iceberg.analytics.daily_clicks"
CALLS: dict[str, Callable[[S3Storage], object]] = {
    "get": lambda store: store.get(SourceType.CODE, NAME, limit=1024),
    "stat": lambda store: store.stat(SourceType.CODE, NAME),
    "put": lambda store: store.put(SourceType.MANUAL, NAME, "x", expected=None),
    "list": lambda store: list(store.list(SourceType.CODE)),
    "check": lambda store: store.check(),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f"<!ENTITY {name} '{f'&{before};' * 10}'>" for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.fixture(scope="module")
def session():
    """One session, because its models take longer to read than a test."""
    return boto3.session.Session()


@pytest.fixture
def store_at(session, monkeypatch):
    """A store whose server is at this address."""
    monkeypatch.setattr(boto3.session, "Session", lambda: session)
    clients: list[Any] = []

    def make(url: str) -> S3Storage:
        clients.append(
            s3_client(
                endpoint_url=url,
                aws_access_key_id="x",
                aws_secret_access_key="x",
                region_name="us-east-1",
                read_timeout=2.0,
                attempts=1,
            )
        )
        return S3Storage(clients[-1], "bucket")

    yield make
    for client in clients:
        client.close()


def xml(body: str, status: str = "200 OK", **headers: str) -> bytes:
    return answer(f'<?xml version="1.0"?>{body}', status, Content_Type="application/xml", **headers)


@pytest.mark.parametrize("region", [None, "eu-west-1", "evil.example/#"])
@pytest.mark.parametrize("status", ["301 Moved", "307 Temporary Redirect", "400 Bad Request"])
@every_call
def test_no_redirect_of_the_store_is_followed(store_at, call, status, region):
    """A Location, an endpoint in the body and an invalid region are each treated as an outage, and no other host is
    called.
    """
    with hostile(lambda _: answer("")) as inside:
        headers = {"Location": f"{inside.url}/"} | ({"x_amz_bucket_region": region} if region else {})
        body = (
            f"<Error><Code>PermanentRedirect</Code><Endpoint>{inside.url}</Endpoint><Message>{CANARY}</Message></Error>"
        )
        with hostile(lambda _: xml(body, status, **headers)) as server:
            with pytest.raises(StorageUnavailable) as caught:
                call(store_at(server.url))
            assert len(server.asked) <= 4
    assert CANARY not in caught.value.message
    assert inside.asked == []


@every_call
def test_no_external_entity_of_a_response_is_fetched(store_at, call):
    """A document type that refers to another address or a file is not resolved."""
    with hostile(lambda _: answer("")) as inside:
        document = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{inside.url}/"><!ENTITY f SYSTEM "file:///etc/passwd">]><Error><Code>&e;&f;</Code></Error>'
        with hostile(lambda _: xml(document, "403 Forbidden")) as server, pytest.raises(StorageUnavailable) as caught:
            call(store_at(server.url))
    assert inside.asked == []
    assert "root:" not in caught.value.message


def test_an_entity_expansion_attack_is_an_outage(store_at):
    """Nested entities (billion laughs) are not expanded."""
    document = f"{LAUGHS}]><ListBucketResult><IsTruncated>false</IsTruncated><Name>&j;</Name></ListBucketResult>"
    with hostile(lambda _: xml(document)) as server:
        began = time.process_time()
        with pytest.raises(StorageUnavailable):
            list(store_at(server.url).list(SourceType.CODE))
    assert time.process_time() - began < 2


def test_an_endless_listing_is_aborted(store_at, monkeypatch):
    """If each page announces another one under a new token, the listing is an outage, and no partial result is used."""
    monkeypatch.setattr("workflow_adapters.storage.s3.MAX_PAGES", 20)

    def page(asked: ReceivedRequest) -> bytes:
        token = f"<NextContinuationToken>{len(server.asked)}</NextContinuationToken>"
        return xml(f"<ListBucketResult><IsTruncated>true</IsTruncated>{token}</ListBucketResult>")

    with hostile(page) as server:
        with pytest.raises(StorageUnavailable, match="does not end"):
            list(store_at(server.url).list(SourceType.CODE))
        assert len(server.asked) == 21


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "500 Internal Server Error"])
@every_call
def test_a_response_of_100_mb_is_not_read_completely(store_at, call, status):
    """Reading stops at the limit, also for an error response."""
    sent = [0]

    def spaces(_: ReceivedRequest) -> Iterator[bytes]:
        yield f"HTTP/1.1 {status}\r\nETag: x\r\nContent-Type: application/xml\r\nContent-Length: 104857600\r\n\r\n".encode()
        for _mib in range(100):
            yield b" " * 2**20
            sent[0] += 2**20

    with hostile(spaces) as server, pytest.raises((StorageUnavailable, InvalidWorkflowSpec)):
        call(store_at(server.url))
    assert sent[0] < MAX_ANSWER + 16 * 2**20


BROKEN = {
    "half of it": b"Content-Length: 9999\r\n\r\n<ListBucketResult>",
    "a chunk of no size": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n<ListBucketResult>",
    "chunks without an end": b"Transfer-Encoding: chunked\r\n\r\n5\r\n<List",
    "an unknown length": b"Content-Length: many\r\n\r\n<ListBucketResult>",
    "no gzip": b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain",
}


@pytest.mark.parametrize("status", [b"200 OK", b"503 Slow Down"])
@pytest.mark.parametrize("rest", BROKEN.values(), ids=BROKEN)
@every_call
def test_a_truncated_response_is_an_outage(store_at, call, rest, status):
    """This holds for each way in which the connection can end during a read."""
    with hostile(lambda _: b"HTTP/1.1 " + status + b"\r\n" + rest) as server, pytest.raises(StorageUnavailable):
        call(store_at(server.url))


def test_a_slow_response_is_aborted(store_at, monkeypatch):
    """A response that sends single bytes never reaches the read timeout, so that the deadline aborts it."""
    monkeypatch.setattr("workflow_adapters.storage.bounded.MAX_SECONDS", 0.5)

    def drip(_: ReceivedRequest) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
        for _byte in range(1000):
            yield b" "
            time.sleep(0.02)

    began = time.monotonic()
    with hostile(drip) as server, pytest.raises(StorageUnavailable, match="does not end"):
        list(store_at(server.url).list(SourceType.CODE))
    assert time.monotonic() - began < 10


KEYS = [
    "../../etc/passwd",
    "a.b/../c.d.yaml",
    "a b.c.yaml",
    "a\u2028b.c.yaml",
    ".yaml",
    "a..b.yaml",
    "a.b.yaml/",
    "one.yaml",
    "-a.b.yaml",
]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_without_a_dataset_name_is_ignored(store_at, key):
    """Clients with write access to the bucket choose the keys; keys that are not a dataset name are skipped."""
    item = f"<Contents><Key>workflows/code/{key}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>"
    item += '<ETag>"e"</ETag><Size>1</Size></Contents>'
    with hostile(
        lambda _: xml(f"<ListBucketResult><IsTruncated>false</IsTruncated>{item}</ListBucketResult>")
    ) as server:
        assert list(store_at(server.url).list(SourceType.CODE)) == []
