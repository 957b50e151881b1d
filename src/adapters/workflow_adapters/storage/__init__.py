"""Object stores, chosen by URL.

========================  ==================================================================================================
``s3://bucket``           S3 or a compatible store, prefix ``workflows``
``s3://bucket/a/b``       the same, prefix ``a/b`` (taken literally: nothing is percent-decoded)
``s3://bucket/``          the same, no prefix
``file:///folder``        a folder of this host (or a shared one), prefix ``workflows``; percent-decoded
``memory://``             this process's memory, for trying out
``other://…``             the store of an installed package, by its entry point: :mod:`workflow_adapters.storage.installed`
========================  ==================================================================================================
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from workflow_adapters.storage.installed import open_installed
from workflow_core.domain.names import quoted
from workflow_core.errors import ConfigurationError

if TYPE_CHECKING:
    from workflow_core.ports.storage import StoragePort

DEFAULT_PREFIX: Final = "workflows"

BUILT_IN: Final = frozenset({"", "file", "memory", "s3"})
"""Schemes that no installed package can replace."""

_BUCKET: Final = re.compile(r"[A-Za-z0-9._-]{1,255}")
_NOTHING: Final = urlsplit("")


def open_storage(url: str, **s3: Any) -> StoragePort:
    """Return the store that a URL names. No request is made yet.

    boto3 is imported for ``s3://`` only: Airflow's environment may lack it.

    Args:
        url: see the table above.
        s3: arguments of :func:`workflow_adapters.storage.s3.s3_client` (timeouts, ``endpoint_url``, …); other stores
            ignore them.

    Raises:
        ConfigurationError: the URL has none of these forms, or boto3 rejects its settings.
    """
    parts = _split(url)
    if parts.scheme == "s3" and _BUCKET.fullmatch(parts.netloc):
        from workflow_adapters.storage.s3 import S3Storage, s3_client  # noqa: PLC0415 - see above

        prefix = DEFAULT_PREFIX if not parts.path else parts.path.strip("/")
        return S3Storage(s3_client(**s3), parts.netloc, prefix)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/") and "\0" not in unquote(parts.path):
        from workflow_adapters.storage.filesystem import FilesystemStorage  # noqa: PLC0415 - Linux only, by its locks

        return FilesystemStorage(Path(unquote(parts.path)), DEFAULT_PREFIX)
    if parts.scheme == "memory" and not (parts.netloc or parts.path):
        from workflow_core.fakes.storage import InMemoryStorage  # noqa: PLC0415 - not for a server

        return InMemoryStorage()
    if (scheme := _scheme(url)) not in BUILT_IN and (installed := open_installed(scheme, url)) is not None:
        return installed
    raise ConfigurationError(
        f"WORKFLOWS_STORAGE_URL: {quoted(_without_secrets(url))} is not a store;"
        " write s3://bucket/prefix, file:///folder or memory://"
    )


def _split(url: str) -> SplitResult:
    """Return the parts of a URL; empty ones for a URL that is malformed, or has a query or a fragment, which would be
    lost.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return _NOTHING
    return _NOTHING if "?" in url or "#" in url else parts


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""


def _without_secrets(url: str) -> str:
    """Return the URL without the part that may be a user and a password."""
    scheme, colon, rest = url.partition(":")
    return f"{scheme}{colon}//...@{rest.rpartition('@')[2]}" if "@" in rest else url
