"""An S3 endpoint on loopback: moto's server, in a separate process."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

from devstack.ports import LOOPBACK, free_ports, is_free, require_free
from devstack.process import ManagedProcess, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class LocalS3:
    """An S3 service that keeps objects in memory, running from entering the ``with`` block to leaving it.

    Args:
        port: TCP port on 127.0.0.1; a free one if None.
        log_path: the server's log; a temporary file, removed at the end, if None.
        start_timeout: seconds that it may take to answer.
        on_progress: called with a line of text for each thing that is waited for.

    Attributes:
        endpoint_url: the value for ``AWS_ENDPOINT_URL`` and boto3's ``endpoint_url``.
        access_key, secret_key, region: credentials and region that it accepts (it accepts any).
    """

    access_key = "testing"
    secret_key = "testing"  # noqa: S105 - the server checks none
    region = "us-east-1"

    def __init__(
        self,
        *,
        port: int | None = None,
        log_path: Path | None = None,
        start_timeout: float = 60.0,
        on_progress: Callable[[str], None] = no_progress,
    ) -> None:
        self._wanted_port = port
        self._wanted_log_path = log_path
        self._start_timeout = start_timeout
        self._on_progress = on_progress
        self._process: ManagedProcess | None = None
        self._cleanup = contextlib.ExitStack()
        self.port = 0
        self.endpoint_url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that point boto3, in any process, at this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Start the server and return when it answers.

        Raises:
            PortInUseError: its port is taken.
            ServerError: it could not be started; nothing is left running.
        """
        [free] = free_ports(1)
        self.port = self._wanted_port or free
        require_free(self.port, "the S3 endpoint")
        self.endpoint_url = f"http://{LOOPBACK}:{self.port}"
        log_path = self._wanted_log_path
        if log_path is None:
            log_path = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="s3-"))) / "s3.log"
        self._process = ManagedProcess(
            [sys.executable, "-m", "moto.server", "--host", LOOPBACK, "--port", str(self.port)],
            name=f"S3 endpoint (port {self.port})",
            log_path=log_path,
        )
        try:
            self._process.start()
            self._process.wait_until(self._missing, timeout=self._start_timeout, on_progress=self._on_progress)
        except BaseException:
            self.stop()
            raise
        self._on_progress(f"S3 endpoint: ready at {self.endpoint_url}")

    def stop(self) -> None:
        """End the server; its objects go with it. Does nothing if it is not running.

        Raises:
            ServerError: the process or the listening port is left.
        """
        process, self._process = self._process, None
        try:
            if process is not None:
                process.stop()
                if not is_free(self.port):
                    raise process.error(f"is stopped, but port {self.port} is still in use")
        finally:
            self._cleanup.close()

    def reset(self) -> None:
        """Remove every bucket and object."""
        httpx.post(f"{self.endpoint_url}/moto-api/reset", timeout=10.0, trust_env=False).raise_for_status()

    def client(self) -> Any:
        """Return a boto3 client for this server."""
        import boto3  # noqa: PLC0415 - half a second, and only needed here

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
        )

    def create_bucket(self, name: str) -> str:
        """Create a bucket and return its name. An existing one is kept unchanged."""
        self.client().create_bucket(Bucket=name)
        return name

    def _missing(self) -> str | None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{self.endpoint_url}/moto-api/data.json", timeout=5.0, trust_env=False).is_success:
                return None
        return f"its answer at {self.endpoint_url}"
