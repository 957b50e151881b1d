"""The contract of ``StoragePort``, verified for the fake, the file system and an S3 server over HTTP."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from attrs import frozen
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from devstack.ports import free_ports
from tests.contract.memory_storage import BehindMemory
from workflow_adapters.storage.filesystem import FilesystemStorage
from workflow_adapters.storage.s3 import S3Storage, s3_client
from workflow_core.domain.workflow import SourceType
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.testing.storage import StorageContract, storage_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_s3 import S3Client

    from devstack.s3 import LocalS3

HISTORIES = settings(
    max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
_numbers = count()


class TestInMemoryStorage(StorageContract):
    """The fake."""

    @pytest.fixture
    def port(self) -> InMemoryStorage:
        return InMemoryStorage()

    @pytest.fixture
    def behind(self, port: InMemoryStorage) -> BehindMemory:
        return BehindMemory(port)

    @pytest.fixture
    def unreachable(self) -> InMemoryStorage:
        fake = InMemoryStorage()
        fake.go_down()
        return fake


@frozen
class BehindFolder:
    """Direct access to the files."""

    folder: Path

    @property
    def prefix_url(self) -> str:
        return f"file://{self.folder}/"

    def write(self, path: str, data: bytes) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(data)

    def read(self, path: str) -> bytes | None:
        file = self.folder / path
        return file.read_bytes() if file.exists() else None


class TestFilesystemStorage(StorageContract):
    """A folder."""

    @pytest.fixture
    def port(self, tmp_path: Path) -> FilesystemStorage:
        return FilesystemStorage(tmp_path / "store")

    @pytest.fixture
    def behind(self, tmp_path: Path) -> BehindFolder:
        return BehindFolder(tmp_path / "store" / "workflows")

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> FilesystemStorage:
        (tmp_path / "file").write_text("a file where a folder should be")
        return FilesystemStorage(tmp_path / "file" / "store")

    def test_random_histories(self) -> None:
        """Over random histories the implementation returns the same results as the fake."""

        @contextmanager
        def fresh() -> Iterator[FilesystemStorage]:
            with TemporaryDirectory() as folder:
                yield FilesystemStorage(Path(folder))

        run_state_machine_as_test(storage_machine(fresh), settings=HISTORIES)


@frozen
class BehindS3:
    """Access to the objects with the plain client."""

    client: S3Client
    bucket: str

    @property
    def prefix_url(self) -> str:
        return f"s3://{self.bucket}/workflows/"

    def write(self, path: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"workflows/{path}", Body=data)

    def read(self, path: str) -> bytes | None:
        try:
            return self.client.get_object(Bucket=self.bucket, Key=f"workflows/{path}")["Body"].read()
        except self.client.exceptions.NoSuchKey:
            return None


@pytest.fixture(scope="module")
def client(s3: LocalS3) -> S3Client:
    return s3_client(
        endpoint_url=s3.endpoint_url,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        region_name=s3.region,
    )


class TestS3Storage(StorageContract):
    """An S3 server over HTTP, with a bucket for each test."""

    @pytest.fixture
    def bucket(self, s3: LocalS3) -> str:
        name = f"contract-{next(_numbers)}"
        s3.create_bucket(name)
        return name

    @pytest.fixture
    def port(self, client: S3Client, bucket: str) -> S3Storage:
        return S3Storage(client, bucket)

    @pytest.fixture
    def behind(self, client: S3Client, bucket: str) -> BehindS3:
        return BehindS3(client, bucket)

    @pytest.fixture
    def unreachable(self, s3: LocalS3) -> S3Storage:
        (port,) = free_ports(1)
        client = s3_client(
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id=s3.access_key,
            aws_secret_access_key=s3.secret_key,
            region_name=s3.region,
            attempts=1,
        )
        return S3Storage(client, "nowhere")

    @pytest.mark.parametrize("prefix", ["", "a/b"])
    def test_the_prefix_is_configurable(self, client: S3Client, bucket: str, prefix: str) -> None:
        """The objects are below the given prefix, which may be empty."""
        store = S3Storage(client, bucket, prefix)
        store.put(SourceType.MANUAL, "a.b", "x", expected=None)
        (key,) = [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]]
        assert f"s3://{bucket}/{key}" == store.url(SourceType.MANUAL, "a.b")
        assert [ref.dataset_name for ref in store.list(SourceType.MANUAL)] == ["a.b"]

    def test_random_histories(self, client: S3Client, s3: LocalS3) -> None:
        """Over random histories the implementation returns the same results as the fake."""

        @contextmanager
        def fresh() -> Iterator[S3Storage]:
            bucket = f"histories-{next(_numbers)}"
            s3.create_bucket(bucket)
            yield S3Storage(client, bucket)

        run_state_machine_as_test(storage_machine(fresh), settings=HISTORIES)
