"""Query parameters, and the headers of a page: the total count, and the link to the next page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

from pydantic import ValidationError

from workflow_core.api.findings import findings_of
from workflow_core.api.listing import Filters
from workflow_core.domain.names import dotted
from workflow_core.errors import InvalidRequest, Problem

if TYPE_CHECKING:
    from litestar.types import Scope

    from workflow_core.api.listing import Listing, PageFilters

F = TypeVar("F", bound=Filters)

_MAX_PARAMETERS: Final = 100
_TAG: Final = re.compile(r'"([1-9][0-9]{0,8})(?:-[0-9a-f]{1,64})?"\Z')


def read_filters(scope: Scope, model: type[F]) -> F:
    """Parse the query string as ``model``.

    Raises :class:`InvalidRequest` with every finding, including unknown names.
    """
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
        Problem(field=dotted([name]), message="is given more than once")
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


def read_if_match(header: str | None) -> int | None:
    """Return the revision in an ``If-Match`` header (RFC 9110, section 13.1.1); None without one.

    The header is the ETag of a workflow, ``"3-0f1e…"``, or its revision alone, ``"3"``. Only the revision counts: a
    later pause or run changes the ETag and not the spec.

    Raises:
        InvalidRequest: The header has another form.
    """
    if header is None:
        return None
    tag = _TAG.match(header)
    if tag is None:
        msg = 'must be the ETag of the workflow, or its revision in quotes, such as "3"'
        raise InvalidRequest(msg, field="If-Match")
    return int(tag.group(1))


def page_headers(page: Listing[Any], *, filters: PageFilters, scope: Scope) -> dict[str, str]:
    """The total count of the items, and the link to the next page, which keeps the filters."""
    headers = {"X-Total-Count": str(page.total)}
    if page.next_cursor is not None:
        kept: dict[str, Any] = filters.model_dump(mode="json", exclude_none=True, exclude={"offset", "cursor"})
        headers["Link"] = f'<{scope["path"]}?{urlencode(kept | {"cursor": page.next_cursor})}>; rel="next"'
    return headers
