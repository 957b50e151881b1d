"""Read the JSON body of a request: bounded in size and time, and strictly parsed."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final, TypeVar

from litestar.concurrency import sync_to_thread
from litestar.exceptions import ClientException, HTTPException
from pydantic import ValidationError
from pydantic_core import from_json

from workflow_core.api.findings import findings_of
from workflow_core.domain.names import dotted, quoted
from workflow_core.errors import InvalidRequest, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar import Request
    from litestar.types import Receive

    from workflow_core.api.base import Request as Body

    Headers = Iterable[tuple[bytes, bytes]]

B = TypeVar("B", bound="Body")

DRAINED: Final = 16 * 1024 * 1024
"""Bytes beyond the limit that are read and discarded, so that the client receives the 413."""

_SMALL: Final = 65_536
"""Bodies up to this size are parsed in well under a millisecond.

Larger ones are parsed in a thread, off the event loop.
"""


async def read_payload(request: Request[Any, Any, Any], model: type[B], *, optional: bool) -> B:
    """Parse the body that :func:`read_body` has read; an ``optional`` body that was left out is the model's defaults.

    Raises:
        InvalidRequest: The body is missing, is not JSON (RFC 8259, UTF-8, at most 200 levels deep, no duplicate keys),
            or does not match the model.
        HTTPException: The content type is not JSON (415).
    """
    raw: bytes = request.scope["state"]["body"]
    if not raw and optional:
        return model()
    if not raw:
        msg = "A JSON body is required."
        raise InvalidRequest(msg)
    _check_content_type(request.headers.get("content-type", ""))
    return parse_payload(raw, model) if len(raw) <= _SMALL else await sync_to_thread(parse_payload, raw, model)


def parse_payload(raw: bytes, model: type[B]) -> B:
    """Parse ``raw`` as ``model``; raises :class:`InvalidRequest` with every finding."""
    try:
        from_json(raw, allow_inf_nan=False)  # refuses excessive depth, lone surrogates, NaN and anything but UTF-8
    except ValueError as error:
        msg = f"The body is not JSON: {error}."
        raise InvalidRequest(msg) from None
    twice: list[str] = []
    json.loads(raw, object_pairs_hook=lambda pairs: _unique(pairs, twice))
    findings = [Problem(field=dotted([name]), message="stands twice in one object") for name in twice]
    try:
        payload = model.model_validate_json(raw)
    except ValidationError as error:
        findings += findings_of(error, model, what="field")
    if findings:
        raise InvalidRequest.of(findings)
    return payload


async def read_body(receive: Receive, headers: Headers, *, limit: int, seconds: float) -> bytes:
    """Read the raw body. Its headers are checked before the first byte is read.

    Raises:
        HTTPException: The body is larger than ``limit`` bytes (413), compressed (415), or incomplete after ``seconds``
            (408).
        ClientException: The client disconnected.
    """
    _check_announced(headers, limit)
    try:
        async with asyncio.timeout(seconds):
            return await _bounded(receive, limit)
    except TimeoutError:
        msg = f"The body did not arrive within {seconds:g} s."
        raise HTTPException(msg, status_code=408, headers={"Connection": "close"}) from None


def _check_announced(headers: Headers, limit: int) -> None:
    length = _header(headers, b"content-length")
    if length.isdigit() and int(length[:20]) > limit:
        raise _too_large(limit)
    encoding = _header(headers, b"content-encoding").strip().lower()
    if encoding not in {"", "identity"}:
        msg = f"The body must be sent without Content-Encoding, not as {quoted(encoding)}."
        raise HTTPException(msg, status_code=415, headers={"Accept-Encoding": "identity"})


def _header(headers: Headers, name: bytes) -> str:
    return next((value.decode("latin-1") for given, value in headers if given.lower() == name), "")


def _too_large(limit: int) -> HTTPException:
    msg = f"The body is larger than {limit} bytes."
    return HTTPException(msg, status_code=413)


async def _bounded(receive: Receive, limit: int) -> bytes:
    raw = bytearray()
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            msg = "The client disconnected."
            raise ClientException(msg)
        chunk = message.get("body", b"")
        size += len(chunk)
        more = message.get("more_body", False) and size <= limit + DRAINED
        if size <= limit:
            raw += chunk
    if size > limit:
        raise _too_large(limit)
    return bytes(raw)


def _check_content_type(value: str) -> None:
    media_type, _, parameters = value.partition(";")
    media_type = media_type.strip().lower()
    charset = parameters.strip().lower().replace('"', "")
    is_json = media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )
    if not is_json or charset not in {"", "charset=utf-8"}:
        msg = f"The body must be application/json in UTF-8, not {quoted(value) if value else 'without Content-Type'}."
        raise HTTPException(msg, status_code=415, headers={"Accept": "application/json"})


def _unique(pairs: list[tuple[str, Any]], twice: list[str]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, value in pairs:
        if name in seen:
            twice.append(name)
        seen[name] = value
    return seen
