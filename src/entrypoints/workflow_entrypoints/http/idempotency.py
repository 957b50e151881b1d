"""``Idempotency-Key``: recognize a repeated request, and give it the same answer.

Follows draft-ietf-httpapi-idempotency-key-header; docs/adr/0021 decides the questions that it leaves open.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from litestar import Response

from workflow_core.domain.caller import IdempotencyKey
from workflow_core.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Request

    from workflow_core.api.base import Answer
    from workflow_entrypoints.http.api import ServedApi

KEY_HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "Idempotency-Replayed"
KEY_PATTERN: Final = r"^[\x21-\x7e]{1,255}$"

_KEY: Final = re.compile(KEY_PATTERN.removesuffix("$") + r"\Z")


def read_key(request: Request[Any, Any, Any]) -> IdempotencyKey | None:
    """Return the key of a request whose query, headers and body have been read; None without one.

    None also for a dry run: it records nothing, so a stored answer under its key belongs to another request.

    Raises:
        InvalidRequest: The key is malformed, or there are several.
    """
    given = request.headers.getall(KEY_HEADER, [])
    if not given:
        return None
    if len(given) > 1 or not _KEY.match(given[0]):
        msg = "must be one text of 1 to 255 visible ASCII characters, without spaces, such as a UUID"
        raise InvalidRequest(msg, field=KEY_HEADER)
    if getattr(request.state.get("payload"), "dry_run", False):
        return None
    return IdempotencyKey(text=given[0], fingerprint=_fingerprint(request))


def _fingerprint(request: Request[Any, Any, Any]) -> str:
    """A hash that is equal for equal requests: defaults may be left out or written, and the order of fields is free."""
    state = request.state
    request_parts = {
        "method": request.method,
        "path": request.scope["path"],
        "if_match": state.get("if_match"),
        "query": _plain(state.get("filters")),
        "body": _plain(state.get("payload")),
    }
    text = json.dumps(request_parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(given: Any) -> Any:
    return None if given is None else given.model_dump(mode="json")


def answer_once(api: ServedApi, ask: Callable[[ServedApi], Answer]) -> Response[bytes]:
    """The answer of a change: a request that is repeated with its key gets the same answer, byte by byte."""
    if not api.has_key:
        return Response(ask(api).model_dump_json().encode(), media_type="application/json")
    result = api.idempotent(ask)
    headers = {REPLAYED_HEADER: "true"} if result.replayed else {}
    return Response(result.body.encode(), media_type="application/json", headers=headers)
