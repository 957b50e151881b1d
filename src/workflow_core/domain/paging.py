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
    """The items, how many there are in all, and the key to go on after (None: this was the last page)."""

    items: tuple[T, ...]
    total: int
    next_after: tuple[str, ...] | None = None


def encode_cursor(key: tuple[str, ...]) -> str:
    """The key as an opaque, URL-safe text."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(text: str, *, parts: int) -> tuple[str, ...]:
    """The key of a cursor; raises :class:`InvalidRequest` for anything that :func:`encode_cursor` did not make."""
    try:
        key = json.loads(base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        key = None
    # keys are names, run ids and moments: nothing but visible ASCII, so that no database is asked for what it cannot hold
    if not isinstance(key, list) or len(key) != parts or not all(map(_is_key_part, key)):
        raise _no_cursor()
    return tuple(key)


def moment_key(moment: datetime) -> str:
    """A moment as part of a key: ISO 8601 in UTC with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def key_moment(part: str) -> datetime:
    """The moment that :func:`moment_key` wrote; raises :class:`InvalidRequest` for any other text."""
    try:
        moment = datetime.fromisoformat(part)
    except ValueError:
        raise _no_cursor() from None
    if moment.tzinfo is not UTC or moment_key(moment) != part:
        raise _no_cursor()
    return moment


def key_id(part: str) -> UUID:
    """The id whose text is this part of a key; raises :class:`InvalidRequest` for any other text."""
    try:
        found = UUID(part)
    except ValueError:
        raise _no_cursor() from None
    if str(found) != part:
        raise _no_cursor()
    return found


def _is_key_part(part: object) -> bool:
    return isinstance(part, str) and part.isascii() and part.isprintable()


def _no_cursor() -> InvalidRequest:
    msg = "this is not a cursor of this list; take it from the Link header of an earlier answer"
    return InvalidRequest(msg, field="cursor")
