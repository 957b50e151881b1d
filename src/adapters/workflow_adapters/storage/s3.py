"""``StoragePort`` on S3 and whatever speaks its protocol with conditional writes (``If-None-Match``, ``If-Match``)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from workflow_adapters.storage.bounded import bound_answers
from workflow_adapters.storage.errors import endless, nonsense, s3_errors, told
from workflow_core.domain.stored import name_of_file, object_path, source_folder, stored_text
from workflow_core.errors import ConfigurationError, StorageConflict
from workflow_core.ports.storage import StoredRef, StoredSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ListObjectsV2OutputTypeDef, ObjectTypeDef

    from workflow_core.domain.workflow import SourceType

_CONFLICTS: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308, 400})  # 400: what HEAD says where others say 301
MAX_PAGES: Final = 1000
"""Pages of one listing, of 1,000 objects each: more than this are no workflows."""

_MISSING: Final = "NoSuchKey"  # a bare 404 may be some other server's


def s3_client(
    *,
    connect_timeout: float = 3.0,
    read_timeout: float = 10.0,
    attempts: int = 3,
    connections: int = 20,
    **options: Any,
) -> S3Client:
    """A client with bounded time: each attempt by the two timeouts (seconds), all of them by their number.

    Credentials, region and ``AWS_ENDPOINT_URL`` come from the environment as boto3 reads it; ``options`` (``endpoint_url``, …) win.

    Raises:
        ConfigurationError: boto3 cannot work with them.
    """
    config = Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        max_pool_connections=connections,
    )
    try:
        client: S3Client = boto3.session.Session().client("s3", config=config, **options)
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(
            "The settings of the object store are not usable. See AWS_ENDPOINT_URL, AWS_PROFILE and AWS_DEFAULT_REGION"
            f" ({type(error).__name__})."
        ) from error
    client.meta.events.register_first("needs-retry.s3.HeadBucket", _no_region)
    bound_answers(client)
    return client


def _no_region(*, response: tuple[Any, dict[str, Any]] | None, **_: Any) -> None:
    """Stop a redirect that leads nowhere.

    botocore answers a redirect without a region by asking HEAD of the bucket for it; where that is redirected, too, it asks
    again, until the stack is full.
    """
    meta = response[1].get("ResponseMetadata", {}) if response else {}
    if meta.get("HTTPStatusCode") in _REDIRECTS and "x-amz-bucket-region" not in meta.get("HTTPHeaders", {}):
        raise nonsense()


class S3Storage:
    """:class:`~workflow_core.ports.storage.StoragePort` in one bucket; threads may share it."""

    def __init__(self, client: S3Client, bucket: str, prefix: str = "workflows") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def url(self, source: SourceType, dataset_name: str) -> str:
        return f"s3://{self._bucket}/{self._key(source, dataset_name)}"

    def put(self, source: SourceType, dataset_name: str, text: str, *, expected: str | None) -> str:
        """As the port says. A conflict may be our own write whose answer was lost and that boto3 repeated: the text then is ours."""
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        data = text.encode()
        with s3_errors():
            try:
                answer = self._client.put_object(
                    Bucket=self._bucket,
                    Key=self._key(source, dataset_name),
                    Body=data,
                    ContentType="application/yaml",
                    **condition,
                )
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code", "")
                if code in _CONFLICTS or (expected is not None and code == _MISSING):
                    retried = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
                    there = self._own_write(source, dataset_name, data) if retried else None
                    if there is not None:
                        return there
                    raise StorageConflict(self.url(source, dataset_name)) from None
                raise
        return str(told(answer, "ETag"))

    def get(self, source: SourceType, dataset_name: str, *, limit: int) -> StoredSpec | None:
        """As the port says. Never reads more than a byte over the limit."""
        found = self._read(source, dataset_name, limit + 1)
        return None if found is None else StoredSpec(text=stored_text(found[0], limit), etag=found[1])

    def stat(self, source: SourceType, dataset_name: str) -> StoredRef | None:
        """As the port says. By a listing of this one key: unlike HEAD it tells a missing object from a missing bucket."""
        key = self._key(source, dataset_name)
        with s3_errors():
            answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1)
        found = [_ref(item, source, dataset_name) for item in _contents(answer) if told(item, "Key") == key]
        return found[0] if found else None

    def delete(self, source: SourceType, dataset_name: str) -> bool:
        """As the port says. S3 answers alike whether or not there was an object, so it is looked for first."""
        there = self.stat(source, dataset_name) is not None
        if there:
            with s3_errors():
                self._client.delete_object(Bucket=self._bucket, Key=self._key(source, dataset_name))
        return there

    def list(self, source: SourceType) -> Iterator[StoredRef]:
        """As the port says, 1,000 keys a request.

        S3 lists by key, and ``a.b-c.yaml`` comes before ``a.b.yaml``: so all are read, then sorted by name.
        """
        folder = source_folder(self._prefix, source)
        found = []
        with s3_errors():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=folder)
            for number, page in enumerate(pages):
                if number == MAX_PAGES:
                    raise endless()
                for item in _contents(page):
                    name = name_of_file(told(item, "Key").removeprefix(folder))
                    if name is not None:
                        found.append(_ref(item, source, name))
        yield from sorted(found, key=lambda ref: ref.dataset_name)

    def check(self) -> None:
        """As the port says: by a listing, since anything that answers 200 would do for HEAD."""
        with s3_errors():
            _contents(self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _key(self, source: SourceType, dataset_name: str) -> str:
        return object_path(self._prefix, source, dataset_name)

    def _read(self, source: SourceType, dataset_name: str, limit: int) -> tuple[bytes, str] | None:
        with s3_errors():
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._key(source, dataset_name))
            except self._client.exceptions.NoSuchKey:
                return None
            data = bytearray()
            # closing(): `with body` would hand out the raw stream, past botocore's checks of length and checksum. They are
            # made by the read that finds nothing more, hence the loop.
            with contextlib.closing(answer["Body"]) as body:
                while len(data) < limit and (chunk := body.read(limit - len(data))):
                    data += chunk
            return bytes(data), str(told(answer, "ETag"))

    def _own_write(self, source: SourceType, dataset_name: str, data: bytes) -> str | None:
        found = self._read(source, dataset_name, len(data) + 1)
        return found[1] if found is not None and found[0] == data else None


def _contents(page: ListObjectsV2OutputTypeDef) -> list[ObjectTypeDef]:
    """The objects of one page; an error if it is none, or says that there are more and not where."""
    if told(page, "IsTruncated"):
        told(page, "NextContinuationToken")
    return page.get("Contents", [])


def _ref(item: ObjectTypeDef, source: SourceType, dataset_name: str) -> StoredRef:
    return StoredRef(
        source=source,
        dataset_name=dataset_name,
        etag=told(item, "ETag"),
        size=told(item, "Size"),
        modified_at=told(item, "LastModified"),
    )
