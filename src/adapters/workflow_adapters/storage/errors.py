"""Translates errors of disks and of boto3 to errors of the core. Messages repeat nothing of an upstream response."""

from __future__ import annotations

import contextlib
import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from workflow_adapters.causes import cause_of, place_of
from workflow_core.errors import StorageRefused, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from botocore.exceptions import BotoCoreError, ClientError

_REMEDIES: Final = {
    "InvalidArgument": "Does it support the checksums that boto3 sends? AWS_REQUEST_CHECKSUM_CALCULATION=when_required leaves them out.",
    "XAmzContentSHA256Mismatch": "AWS_REQUEST_CHECKSUM_CALCULATION=when_required leaves out the checksums that it does not support.",
    "NotImplemented": "It has to support conditional writes (If-None-Match and If-Match).",
    "AccessDenied": "The credentials need s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket there.",
    "SignatureDoesNotMatch": "Check AWS_SECRET_ACCESS_KEY and AWS_DEFAULT_REGION.",
    "InvalidAccessKeyId": "Check AWS_ACCESS_KEY_ID.",
    "NoSuchBucket": "Check the bucket in WORKFLOWS_STORAGE_URL.",
    "RequestTimeTooSkewed": "Check the clock of this host.",
}
_OTHERWISE: Final = "Check WORKFLOWS_STORAGE_URL and AWS_ENDPOINT_URL."
_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, 425, 499})
_NEVER: Final = frozenset({HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED})
_SLOW: Final = frozenset({"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests"})
_LONGEST: Final = 64


@contextlib.contextmanager
def os_errors() -> Iterator[None]:
    """Turn an ``OSError`` into :class:`StorageUnavailable`, with the message of the system and without the path."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno is not None else "unknown error"
        raise StorageUnavailable(
            f"The object store's folder cannot be used: {reason}. Check WORKFLOWS_STORAGE_URL."
        ) from error


@contextlib.contextmanager
def s3_errors() -> Iterator[None]:
    """Translate errors of boto3; the message contains the store's code (``NoSuchBucket``, ``AccessDenied``) if it is a
    plain word.

    Raises:
        StorageRefused: the store understood the request, and always refuses it.
        StorageUnavailable: it does not answer, or not now.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only where S3 is used
    from botocore.parsers import ResponseParserError  # noqa: PLC0415 - likewise

    try:
        yield
    except ClientError as error:
        raise _answered(error) from error
    except BotoCoreError as error:
        raise _unanswered(error) from error
    except (
        ResponseParserError,
        ValueError,
    ) as error:  # its message is the upstream body; ValueError: a header that is not a number
        raise nonsense() from error


def _answered(error: ClientError) -> StorageUnavailable:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    word = code if code.isascii() and code.isalnum() and len(code) < _LONGEST else f"HTTP {status}"
    if not _is_final(status, code):
        return StorageUnavailable(f"The object store answered {word}.")
    return StorageRefused(f"The object store refuses this ({word}). {_REMEDIES.get(code, _OTHERWISE)}")


def _is_final(status: int, code: str) -> bool:
    """Whether a repeat gets the same response: the request is at fault, not the moment."""
    if status in _NEVER:
        return True
    is_ours = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return is_ours and status not in _PASSING and code not in _SLOW


def _unanswered(error: BotoCoreError) -> StorageUnavailable:
    url = error.kwargs.get("endpoint_url")
    name = type(error).__name__
    if "Credentials" in name or name == "ProfileNotFound":
        return StorageRefused(
            "The object store needs credentials, and there are none. See AWS_ACCESS_KEY_ID and AWS_PROFILE."
        )
    if not isinstance(url, str):
        return StorageUnavailable(f"The object store does not answer: {cause_of(error)}. {_OTHERWISE}")
    place = place_of(url)
    return StorageUnavailable(
        f"The object store at {place} does not answer: {cause_of(error)}. {_OTHERWISE}", place=place
    )


def required(answer: Mapping[str, Any], field: str) -> Any:
    """Return a field that every response of S3 has. boto3 parses the blank page of a proxy as a response without
    fields.
    """
    if field not in answer:
        raise nonsense()
    return answer[field]


def nonsense() -> StorageUnavailable:
    """Return the error for a response that does not follow the S3 protocol."""
    return StorageUnavailable("The object store's response does not follow the S3 protocol. Is the endpoint right?")


def endless() -> StorageUnavailable:
    """Return the error for a response that is larger than any real one, or does not end."""
    return StorageUnavailable("The object store's response is too large, or does not end; reading it was aborted.")
