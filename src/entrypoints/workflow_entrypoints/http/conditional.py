"""Conditional GETs (RFC 9110, section 13): an ETag over the answer, and 304 for a caller that has it already."""

from __future__ import annotations

import hashlib
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from litestar import Response

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from workflow_core.api.base import Answer

LIST_HEADERS: Final = ("X-Total-Count", "Link")
"""Headers of a page that the ETag covers."""

_TAG: Final = re.compile(r'\s*(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|\Z)')
_JSON: Final = "application/json"
_OK: Final = 200
_NOT_MODIFIED: Final = 304
_OF_THE_BODY: Final = frozenset({b"content-type", b"content-length", *(name.lower().encode() for name in LIST_HEADERS)})


def tags_of(header: str) -> Iterator[str]:
    """The opaque tags of ``If-None-Match``, with quotes and without ``W/``, up to the first malformed one."""
    at = 0
    while found := _TAG.match(header, at):
        yield found[1]
        at = found.end()


def matches(header: str | None, tag: str) -> bool:
    """Whether ``If-None-Match`` names this ETag, by the weak comparison (section 13.1.2)."""
    if header is None:
        return False
    return header.strip() == "*" or tag.removeprefix("W/") in tags_of(header)


def tagged(
    content: Answer | list[Answer],
    *,
    headers: Mapping[str, str] = MappingProxyType({}),
    lead: str = "",
    passing_over: Collection[str] = (),
) -> Response[bytes]:
    """Write the answer with its ETag: ``lead``, then a hash of the answer.

    The hash leaves out the fields of ``passing_over``, which change with time, such as a duration; the ETag is weak
    then.
    """
    items = content if isinstance(content, list) else [content]
    body = b",".join(item.model_dump_json().encode() for item in items)
    body = b"[" + body + b"]" if isinstance(content, list) else body
    hashed = hashlib.sha256(body)
    if passing_over:
        hashed = hashlib.sha256(b"".join(one.model_dump_json(exclude=set(passing_over)).encode() for one in items))
    for name in LIST_HEADERS:
        hashed.update(headers.get(name, "").encode())
    weak = "W/" if passing_over else ""
    return Response(body, media_type=_JSON, headers={**headers, "ETag": f'{weak}"{lead}{hashed.hexdigest()[:16]}"'})


def not_modified(app: ASGIApp) -> ASGIApp:
    """Answer 304 without a body where ``If-None-Match`` names the ETag of the answer."""

    async def conditional(scope: Scope, receive: Receive, send: Send) -> None:
        asked = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"if-none-match"), None)
        if asked is None:
            await app(scope, receive, send)
            return
        is_known = False

        async def without_body(message: Message) -> None:
            nonlocal is_known
            if message["type"] == "http.response.start":
                tag = next((value for name, value in message["headers"] if name.lower() == b"etag"), None)
                is_known = message["status"] == _OK and tag is not None and matches(asked, tag.decode("latin-1"))
                if is_known:
                    message["status"] = _NOT_MODIFIED
                    message["headers"] = [one for one in message["headers"] if one[0].lower() not in _OF_THE_BODY]
            elif message["type"] == "http.response.body" and is_known:
                message["body"] = b""
            await send(message)

        await app(scope, receive, without_body)

    return conditional
