"""The one place where errors of disks and of boto3 become ours. Nothing of an upstream answer is repeated."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from workflow_core.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


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
    from botocore.parsers import ResponseParserError  # noqa: PLC0415 - likewise

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        word = code if code.isascii() and code.isalnum() and len(code) < 64 else "an error"  # noqa: PLR2004
        raise StorageUnavailable(f"The object store answered {word}.") from error
    except BotoCoreError as error:
        raise StorageUnavailable(f"The object store does not answer ({type(error).__name__}).") from error
    except (ResponseParserError, ValueError) as error:  # its message is the upstream body; a header that is no number
        raise nonsense() from error


def told(answer: Mapping[str, Any], field: str) -> Any:
    """A field that every answer of S3 has. boto3 reads the blank page of a proxy as an answer in which nothing is."""
    if field not in answer:
        raise nonsense()
    return answer[field]


def nonsense() -> StorageUnavailable:
    """The error for an answer that is none of S3's."""
    return StorageUnavailable("The object store's answer is not one of the S3 protocol. Is the endpoint right?")


def endless() -> StorageUnavailable:
    """The error for an answer that is larger than any real one, or does not end."""
    return StorageUnavailable("The object store's answer has no end in sight, and was given up.")
