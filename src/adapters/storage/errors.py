"""The one place where errors of disks and of boto3 become ours. Nothing of an upstream answer is repeated."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from workflow_core.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def os_errors() -> Iterator[None]:
    """Turn an ``OSError`` into :class:`StorageUnavailable`, with the system's own words and no path."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno is not None else "unknown error"
        raise StorageUnavailable(f"The object store's folder cannot be used: {reason}.") from error


@contextlib.contextmanager
def s3_errors() -> Iterator[None]:
    """Turn what boto3 raises into :class:`StorageUnavailable`, with its code (``NoSuchBucket``, ``AccessDenied``) if it is a plain word."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only where S3 is used

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        told = code if code.isascii() and code.isalnum() and len(code) < 64 else "an error"  # noqa: PLR2004
        raise StorageUnavailable(f"The object store answered {told}.") from error
    except BotoCoreError as error:
        raise StorageUnavailable(f"The object store does not answer ({type(error).__name__}).") from error
