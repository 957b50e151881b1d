"""``Idempotency-Key``: which requests are the same, and the same answer for the same request.

Follows draft-ietf-httpapi-idempotency-key-header; what it leaves open is settled in decision 21.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from litestar import Response

from workflow_core.domain.caller import IdempotencyKey
from workflow_core.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Request

    from workflow_core.api.base import Answer
    from workflow_core.service import WorkflowService

KEY_HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "Idempotency-Replayed"
KEY_PATTERN: Final = r"^[\x21-\x7e]{1,255}$"

_KEY: Final = re.compile(KEY_PATTERN.removesuffix("$") + r"\Z")


def read_key(request: Request[Any, Any, Any]) -> IdempotencyKey | None:
    """The key of a request whose query, headers and body have been read; None without one, and for a dry run: that records nothing,
    so what is kept of the key is of another request.

    Raises:
        InvalidRequest: it is none, or there are several.
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
    """The same for requests that ask for the same: a default may be left out or written, the order of fields is free."""
    state = request.state
    asked = {
        "method": request.method,
        "path": request.scope["path"],
        "if_match": state.get("if_match"),
        "query": _plain(state.get("filters")),
        "body": _plain(state.get("payload")),
    }
    text = json.dumps(asked, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(given: Any) -> Any:
    return None if given is None else given.model_dump(mode="json")


def answering_once(handler: Callable[..., Answer]) -> Callable[..., Answer | Response[bytes]]:
    """The handler of a change, which gives a request that comes again with its key the same answer, byte by byte."""

    @wraps(handler)
    def answered(*, api: WorkflowService, **given: Any) -> Answer | Response[bytes]:
        if api.caller.key is None:
            return handler(api=api, **given)
        found = api.idempotent(lambda asked: handler(api=asked, **given))
        headers = {REPLAYED_HEADER: "true"} if found.replayed else {}
        return Response(found.body.encode(), media_type="application/json", headers=headers)

    return answered
