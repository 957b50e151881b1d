"""One page of an ordered list, by keyset (stable while rows come and go) or by offset."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar
from uuid import UUID

from attrs import frozen

from workflow_core.errors import InvalidRequest

T = TypeVar("T")

MAX_LIMIT: Final = 500


@frozen(kw_only=True)
class PageRequest:
    """``limit`` items after the key ``after`` (or from the start), ``offset`` of them skipped."""

    limit: int = 50
    offset: int = 0
    after: tuple[str, ...] | None = None

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            msg = f"{self.limit} is out of range; 1 to {MAX_LIMIT} are allowed"
            raise InvalidRequest(msg, field="limit")
        if not 0 <= self.offset < 2**31:
            msg = f"{self.offset} is out of range; it counts from 0"
            raise InvalidRequest(msg, field="offset")


@frozen(kw_only=True)
class Page(Generic[T]):
    """The items, the total number of items, and the key after which the next page begins (None: this is the last page)."""

    items: tuple[T, ...]
    total: int
    next_after: tuple[str, ...] | None = None


def encode_cursor(key: tuple[str, ...]) -> str:
    """The key as an opaque, URL-safe text."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(text: str, *, parts: int) -> tuple[str, ...]:
    """Return the key of a cursor; raise :class:`InvalidRequest` for a text that :func:`encode_cursor` did not return."""
    try:
        key = json.loads(base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        key = None
    # keys are names, run ids and moments: only visible ASCII, so that no query contains what a database cannot store
    if not isinstance(key, list) or len(key) != parts or not all(map(_is_key_part, key)):
        raise _no_cursor()
    return tuple(key)


def moment_key(moment: datetime) -> str:
    """A moment as part of a key: ISO 8601 in UTC with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def key_moment(part: str) -> datetime:
    """Return the moment that :func:`moment_key` wrote; raise :class:`InvalidRequest` for any other text."""
    try:
        moment = datetime.fromisoformat(part)
    except ValueError:
        raise _no_cursor() from None
    if moment.tzinfo is not UTC or moment_key(moment) != part:
        raise _no_cursor()
    return moment


def key_id(part: str) -> UUID:
    """Return the id whose text is this part of a key; raise :class:`InvalidRequest` for any other text."""
    try:
        value = UUID(part)
    except ValueError:
        raise _no_cursor() from None
    if str(value) != part:
        raise _no_cursor()
    return value


def _is_key_part(part: object) -> bool:
    return isinstance(part, str) and part.isascii() and part.isprintable()


def _no_cursor() -> InvalidRequest:
    msg = "is not a cursor of this list; use one from the Link header of an earlier response"
    return InvalidRequest(msg, field="cursor")
