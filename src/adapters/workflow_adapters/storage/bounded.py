"""Limits the size of S3 responses: botocore reads listings and errors without a limit."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import HTTPClientError

from workflow_adapters.storage.errors import endless

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from types_boto3_s3 import S3Client

MAX_ANSWER: Final = 16 * 2**20
"""Bytes of the largest response other than an object; a page of 1,000 keys has less than 2 MiB."""

MAX_SECONDS: Final = 60.0
"""Seconds that reading it may take in total, however slowly it arrives."""

_FIRST_ERROR: Final = 300


def bound_answers(client: S3Client) -> None:
    """Make a client read at most :data:`MAX_ANSWER` bytes; the content of an object is left to its reader."""
    session: Any = client._endpoint.http_session  # type: ignore[attr-defined]  # noqa: SLF001 - botocore has no setting for it

    def send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        is_object = request.stream_output
        request.stream_output = True  # otherwise botocore reads the response before it returns it
        response: AWSResponse = session.send(request)
        if not is_object or response.status_code >= _FIRST_ERROR:
            response._content = _read(response.raw)  # type: ignore[attr-defined]  # noqa: SLF001 - where botocore keeps it
        return response

    events: Any = client.meta.events  # its types do not cover handlers that return a response
    events.register("before-send.s3", send)


def _read(raw: Any) -> bytes:
    try:
        data = _up_to_the_limit(raw)
    except Exception as error:  # of urllib3 or the socket: reported and retried as in a read by botocore
        raw.close()
        raise HTTPClientError(error=error) from error
    if data is None:
        raw.close()
        raise endless()
    raw.release_conn()
    return data


def _up_to_the_limit(raw: Any) -> bytes | None:
    until = time.monotonic() + MAX_SECONDS
    data = bytearray()
    while chunk := raw.read1(65_536):
        data += chunk
        if len(data) > MAX_ANSWER or time.monotonic() > until:
            return None
    return bytes(data)
