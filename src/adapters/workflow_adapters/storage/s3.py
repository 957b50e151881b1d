"""``StoragePort`` on S3 and compatible stores with conditional writes (``If-None-Match``, ``If-Match``)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from workflow_adapters.storage.bounded import bound_answers
from workflow_adapters.storage.errors import endless, nonsense, required, s3_errors
from workflow_core.domain.stored import name_of_file, object_path, source_folder, stored_text
from workflow_core.errors import ConfigurationError, StorageConflict
from workflow_core.ports.storage import StoredRef, StoredSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ListObjectsV2OutputTypeDef, ObjectTypeDef

    from workflow_core.domain.workflow import SourceType

_CONFLICTS: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308, 400})  # 400: the status of HEAD where other methods get 301
MAX_PAGES: Final = 1000
"""Maximum pages of one listing, of 1,000 objects each: more cannot be workflows."""

_MISSING: Final = "NoSuchKey"  # a bare 404 may come from another server


def s3_client(
    *,
    connect_timeout: float = 3.0,
    read_timeout: float = 10.0,
    attempts: int = 3,
    connections: int = 20,
    **options: Any,
) -> S3Client:
    """Return a client with bounded time: the two timeouts (seconds) bound each attempt, and their number all of them.

    Credentials, region and ``AWS_ENDPOINT_URL`` come from the environment as boto3 reads it; ``options``
    (``endpoint_url``, …) take precedence.

    Raises:
        ConfigurationError: boto3 rejects them.
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

    After a redirect without a region, botocore requests it by a HEAD of the bucket; where that is also redirected, it
    recurses until the stack overflows.
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
        """Write under a condition.

        A conflict may be our own write, repeated by boto3 because the response was lost: the text is then ours.
        """
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
                    etag = self._own_write(source, dataset_name, data) if retried else None
                    if etag is not None:
                        return etag
                    raise StorageConflict(self.url(source, dataset_name)) from None
                raise
        return str(required(answer, "ETag"))

    def get(self, source: SourceType, dataset_name: str, *, limit: int) -> StoredSpec | None:
        """Read the object, at most one byte over the limit."""
        content = self._read(source, dataset_name, limit + 1)
        return None if content is None else StoredSpec(text=stored_text(content[0], limit), etag=content[1])

    def stat(self, source: SourceType, dataset_name: str) -> StoredRef | None:
        """List this one key: unlike HEAD, a listing distinguishes a missing object from a missing bucket."""
        key = self._key(source, dataset_name)
        with s3_errors():
            answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1)
        refs = [_ref(item, source, dataset_name) for item in _contents(answer) if required(item, "Key") == key]
        return refs[0] if refs else None

    def delete(self, source: SourceType, dataset_name: str) -> bool:
        """List the object first: the response to a DELETE is the same whether or not there was one."""
        exists = self.stat(source, dataset_name) is not None
        if exists:
            with s3_errors():
                self._client.delete_object(Bucket=self._bucket, Key=self._key(source, dataset_name))
        return exists

    def list(self, source: SourceType) -> Iterator[StoredRef]:
        """Request 1,000 keys at a time.

        S3 lists by key, and ``a.b-c.yaml`` comes before ``a.b.yaml``: so all are read, then sorted by name.
        """
        folder = source_folder(self._prefix, source)
        refs = []
        with s3_errors():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=folder)
            for number, page in enumerate(pages):
                if number == MAX_PAGES:
                    raise endless()
                for item in _contents(page):
                    name = name_of_file(required(item, "Key").removeprefix(folder))
                    if name is not None:
                        refs.append(_ref(item, source, name))
        yield from sorted(refs, key=lambda ref: ref.dataset_name)

    def check(self) -> None:
        """Request a listing, since HEAD accepts any server that answers 200."""
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
            # closing(): `with body` would return the raw stream, which bypasses botocore's checks of length and
            # checksum. The read at the end makes them, hence the loop.
            with contextlib.closing(answer["Body"]) as body:
                while len(data) < limit and (chunk := body.read(limit - len(data))):
                    data += chunk
            return bytes(data), str(required(answer, "ETag"))

    def _own_write(self, source: SourceType, dataset_name: str, data: bytes) -> str | None:
        content = self._read(source, dataset_name, len(data) + 1)
        return content[1] if content is not None and content[0] == data else None


def _contents(page: ListObjectsV2OutputTypeDef) -> list[ObjectTypeDef]:
    """Return the objects of one page. Raise if it is not one, or claims to have a successor without a token for it."""
    if required(page, "IsTruncated"):
        required(page, "NextContinuationToken")
    return page.get("Contents", [])


def _ref(item: ObjectTypeDef, source: SourceType, dataset_name: str) -> StoredRef:
    return StoredRef(
        source=source,
        dataset_name=dataset_name,
        etag=required(item, "ETag"),
        size=required(item, "Size"),
        modified_at=required(item, "LastModified"),
    )
