"""Object stores, chosen by URL.

========================  ====================================================================================
``s3://bucket``           S3 or whatever speaks its protocol, prefix ``workflows``
``s3://bucket/a/b``       the same, prefix ``a/b``
``s3://bucket/``          the same, no prefix
``file:///folder``        a folder of this host (or one that all hosts share), prefix ``workflows``
``memory://``             this process's memory, for trying out
========================  ====================================================================================
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from workflow_core.domain.names import shown
from workflow_core.errors import ConfigurationError

if TYPE_CHECKING:
    from workflow_core.ports.storage import StoragePort

DEFAULT_PREFIX: Final = "workflows"


def open_storage(url: str) -> StoragePort:
    """The store that a URL names. Nothing is asked of it yet.

    boto3 is imported for ``s3://`` only: Airflow's side may do without it.

    Raises:
        ConfigurationError: the URL is none of those above.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3" and parts.netloc and not (parts.query or parts.fragment):
        from adapters.storage.s3 import S3Storage, s3_client  # noqa: PLC0415 - see above

        prefix = DEFAULT_PREFIX if not parts.path else parts.path.strip("/")
        return S3Storage(s3_client(), parts.netloc, prefix)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        from adapters.storage.filesystem import FilesystemStorage  # noqa: PLC0415 - Linux only, by its locks

        return FilesystemStorage(Path(unquote(parts.path)), DEFAULT_PREFIX)
    if parts.scheme == "memory":
        from workflow_core.fakes.storage import InMemoryStorage  # noqa: PLC0415 - not for a server

        return InMemoryStorage()
    raise ConfigurationError(
        f"WORKFLOWS_STORAGE_URL: {shown(url)} is no store; write s3://bucket/prefix, file:///folder or memory://"
    )
