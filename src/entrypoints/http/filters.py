"""Query parameters: what each list understands, and the link to its next page."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

from litestar import Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from entrypoints.http.findings import field_name, findings_of
from workflow_core.domain.names import DATASET_NAME_PATTERN, MAX_DATASET_NAME
from workflow_core.domain.paging import MAX_LIMIT, PageRequest, decode_cursor, encode_cursor
from workflow_core.domain.workflow import SourceType, WorkflowStatus
from workflow_core.errors import InvalidRequest, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.types import Scope

    from workflow_core.domain.paging import Page

F = TypeVar("F", bound="Filters")
T = TypeVar("T")
A = TypeVar("A")

_MAX_PARAMETERS: Final = 100
_WHOLE: Final = re.compile(r"[0-9]{1,10}\Z")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


def _whole(value: object) -> object:
    """Digits and nothing else: pydantic alone would read ``5.0`` and ``1_0``, too."""
    if isinstance(value, str) and not _WHOLE.match(value):
        msg = "must be a whole number"
        raise ValueError(msg)
    return value


def _day(value: object) -> object:
    """A date as the specification writes it: pydantic alone would read Unix times, too."""
    if isinstance(value, str) and not _DATE.match(value):
        msg = "must be a date like 2026-01-31"
        raise ValueError(msg)
    return value


Day = Annotated[date, BeforeValidator(_day)]


class Filters(BaseModel):
    """The query parameters of a route; this one has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PageFilters(Filters):
    """What every list understands."""

    limit: Annotated[int, BeforeValidator(_whole)] = Field(default=50, ge=1, le=MAX_LIMIT, description="Most items.")
    offset: Annotated[int, BeforeValidator(_whole)] = Field(
        default=0, ge=0, lt=2**31, description="Items to pass over. For many pages follow the `Link` header instead."
    )
    cursor: str | None = Field(default=None, description="Where to go on, from the `Link` header of an earlier answer.")

    def page(self, *, parts: int) -> PageRequest:
        """The page that is asked for; raises :class:`InvalidRequest` for a cursor that is not a key of so many parts."""
        after = None if self.cursor is None else decode_cursor(self.cursor, parts=parts)
        return PageRequest(limit=self.limit, offset=self.offset, after=after)


class WorkflowFilters(PageFilters):
    """Which workflows (3.5)."""

    status: WorkflowStatus | None = Field(default=None, description="Only workflows in this state.")
    source_type: SourceType | None = Field(default=None, description="Only workflows of this source.")
    owner: str | None = Field(
        default=None, min_length=1, max_length=200, pattern=r"^[^\x00]*$", description="Only workflows of this owner."
    )


class HistoryFilters(PageFilters):
    """Which runs (3.6)."""

    limit: Annotated[int, BeforeValidator(_whole)] = Field(default=20, ge=1, le=MAX_LIMIT, description="Most items.")
    dataset_name: str | None = Field(
        default=None,
        description="Only runs of this workflow.",
        json_schema_extra={"pattern": DATASET_NAME_PATTERN, "maxLength": MAX_DATASET_NAME},
    )
    start_date: Day | None = Field(default=None, description="Only runs that started on this day (UTC) or later.")
    end_date: Day | None = Field(default=None, description="Only runs that started on this day (UTC) or earlier.")


def read_filters(scope: Scope, model: type[F]) -> F:
    """The query string as ``model``; raises :class:`InvalidRequest` with every finding, unknown names included."""
    try:
        pairs = parse_qsl(
            scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except UnicodeError:
        msg = "The query string is not UTF-8."
        raise InvalidRequest(msg) from None
    except ValueError:
        msg = f"There are more than {_MAX_PARAMETERS} query parameters."
        raise InvalidRequest(msg) from None
    values = dict(pairs)
    findings = [
        Problem(field=field_name([name]), message="is given more than once")
        for name in values
        if sum(other == name for other, _ in pairs) > 1
    ]
    try:
        filters = model.model_validate(values)
    except ValidationError as error:
        findings += findings_of(error, model, what="parameter")
    if findings:
        raise InvalidRequest.of(findings)
    return filters


def listing(page: Page[T], of: Callable[[T], A], *, filters: PageFilters, scope: Scope) -> Response[list[A]]:
    """The items of a page, how many there are in all, and the link to the next page, which keeps the filters."""
    headers: dict[str, str] = {"X-Total-Count": str(page.total)}
    if page.next_after is not None:
        kept: dict[str, Any] = filters.model_dump(mode="json", exclude_none=True, exclude={"offset", "cursor"})
        query = urlencode(kept | {"cursor": encode_cursor(page.next_after)})
        headers["Link"] = f'<{scope["path"]}?{query}>; rel="next"'
    return Response([of(item) for item in page.items], headers=headers)
