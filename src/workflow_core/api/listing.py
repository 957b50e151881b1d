"""The query parameters of lists, and a page of a list (specification, sections 3.5 and 3.6)."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Final, Generic, TypeVar

from attrs import frozen
from pydantic import BeforeValidator, Field

from workflow_core.api.base import Given
from workflow_core.domain.names import DATASET_NAME_PATTERN, MAX_DATASET_NAME
from workflow_core.domain.paging import MAX_LIMIT, PageRequest, decode_cursor
from workflow_core.domain.workflow import SourceType, WorkflowStatus

A = TypeVar("A")

_WHOLE: Final = re.compile(r"[0-9]{1,10}\Z")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


def whole(value: object) -> object:
    """Accept only digits; pydantic alone would also accept ``5.0`` and ``1_0``."""
    if isinstance(value, str) and not _WHOLE.match(value):
        msg = "must be a whole number"
        raise ValueError(msg)
    return value


def _day(value: object) -> object:
    """Accept a date in the form of the specification; pydantic alone would also accept Unix times."""
    if not isinstance(value, str):
        return value
    msg = "must be a date like 2026-01-31"
    if not _DATE.match(value):
        raise ValueError(msg)
    try:
        return date.fromisoformat(value)
    except ValueError:
        msg = "must be a date of the calendar"
        raise ValueError(msg) from None


Day = Annotated[date, BeforeValidator(_day)]


WholeNumber = Annotated[int, BeforeValidator(whole)]


class Filters(Given):
    """The query parameters of a call; this class has none."""


class PageFilters(Filters):
    """The query parameters of every list."""

    limit: WholeNumber = Field(default=50, ge=1, le=MAX_LIMIT, description="Maximum number of items.")
    offset: WholeNumber = Field(
        default=0,
        ge=0,
        lt=2**31,
        description="Number of items to skip. For many pages follow the `Link` header instead.",
    )
    cursor: str | None = Field(
        default=None, description="The position to continue from, out of the `Link` header of an earlier answer."
    )

    def page(self, *, parts: int) -> PageRequest:
        """Return the requested page; raises :class:`InvalidRequest` for a cursor that does not have ``parts`` parts."""
        after = None if self.cursor is None else decode_cursor(self.cursor, parts=parts)
        return PageRequest(limit=self.limit, offset=self.offset, after=after)


class WorkflowFilters(PageFilters):
    """The query parameters of the list of workflows (specification, section 3.5)."""

    status: WorkflowStatus | None = Field(default=None, description="Only workflows in this state.")
    source_type: SourceType | None = Field(default=None, description="Only workflows of this source.")
    owner: str | None = Field(
        default=None, min_length=1, max_length=200, pattern=r"^[^\x00]*$", description="Only workflows of this owner."
    )


class HistoryFilters(PageFilters):
    """The query parameters of the history (specification, section 3.6)."""

    limit: WholeNumber = Field(default=20, ge=1, le=MAX_LIMIT, description="Maximum number of items.")
    dataset_name: str | None = Field(
        default=None,
        description="Only runs of this workflow.",
        json_schema_extra={"pattern": DATASET_NAME_PATTERN, "maxLength": MAX_DATASET_NAME},
    )
    start_date: Day | None = Field(default=None, description="Only runs that started on this day (UTC) or later.")
    end_date: Day | None = Field(default=None, description="Only runs that started on this day (UTC) or earlier.")


@frozen(kw_only=True)
class Listing(Generic[A]):
    """A page: its items, the total count of items, and the cursor of the next page (None on the last page)."""

    items: tuple[A, ...]
    total: int
    next_cursor: str | None = None
