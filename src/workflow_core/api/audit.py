"""The audit: accepted changes, with their authors, times and origins."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema

from workflow_core.api.base import Answer, UtcTime
from workflow_core.api.listing import PageFilters
from workflow_core.domain.audit import Action
from workflow_core.domain.caller import Via
from workflow_core.domain.names import DATASET_NAME_PATTERN, MAX_DATASET_NAME

if TYPE_CHECKING:
    from workflow_core.domain.audit import AuditEvent

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}")


def _moment(value: object) -> object:
    """Accept an RFC 3339 time, or a date, which is its beginning in UTC.

    Pydantic alone would also accept Unix times.
    """
    if not isinstance(value, str):
        return value
    if not _DAY.match(value) and not _MOMENT.match(value):
        msg = "must be a time like 2026-01-31T10:00:00Z, or a date like 2026-01-31"
        raise ValueError(msg)
    try:
        return datetime.fromisoformat(value).replace(tzinfo=UTC) if _DAY.match(value) else value
    except ValueError:
        msg = "must be a date of the calendar"
        raise ValueError(msg) from None


def _in_utc(moment: datetime) -> datetime:
    """Convert to UTC, where the first and last hours of the calendar have no equivalent."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        msg = "must be a time of the calendar, also in UTC"
        raise ValueError(msg) from None


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_moment),
    AfterValidator(_in_utc),
    WithJsonSchema({"type": "string", "examples": ["2026-01-31T10:00:00Z", "2026-01-31"]}),
]


class AuditFilters(PageFilters):
    """The query parameters of the audit."""

    dataset_name: str | None = Field(
        default=None,
        description="Only changes of this workflow, its runs and its backfills.",
        json_schema_extra={"pattern": DATASET_NAME_PATTERN, "maxLength": MAX_DATASET_NAME},
    )
    action: Action | None = Field(default=None, description="Only changes of this kind.")
    who: str | None = Field(
        default=None, min_length=1, max_length=200, pattern=r"^[^\x00]*$", description="Only changes by this caller."
    )
    since: Moment | None = Field(
        default=None, description="Only changes at this moment or later; a date is its beginning in UTC."
    )
    until: Moment | None = Field(
        default=None, description="Only changes before this moment; a date is its beginning in UTC."
    )


class AuditItem(Answer):
    """An accepted change."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019b78ff-f97b-7a5f-b615-56d503d6bd2a",
                    "at": "2026-01-01T10:00:00Z",
                    "who": "user@example.com",
                    "action": "pause",
                    "dataset_name": "iceberg.analytics.daily_clicks",
                    "run_id": None,
                    "backfill_id": None,
                    "via": "http",
                    "address": "127.0.0.1",
                    "request_id": "b7d0a5f0f0f24f6c8a7a2a1d3b8e6f10",
                    "before": {"status": "active", "pause_reason": None},
                    "after": {"status": "paused", "pause_reason": "Maintenance window"},
                }
            ]
        }
    )

    id: str
    at: UtcTime
    who: str
    action: Action
    dataset_name: str | None = Field(description="Null for a sync, which concerns all published workflows.")
    run_id: str | None
    backfill_id: str | None
    via: Via = Field(
        description="Its origin: HTTP, `dli` without a server, a program that embeds the service, or the worker."
    )
    address: str | None = Field(description="The address of the caller; over HTTP only.")
    request_id: str | None = Field(description="Its X-Request-ID; over HTTP only.")
    before: dict[str, JsonValue] | None = Field(
        description="The changed values before the change; null for a new object."
    )
    after: dict[str, JsonValue] | None = Field(
        description="The changed values after the change; null if nothing had to change."
    )

    @classmethod
    def of(cls, event: AuditEvent) -> AuditItem:
        """Make the answer from an audit entry."""
        return cls(
            id=str(event.id),
            at=event.at,
            who=event.who,
            action=event.action,
            dataset_name=event.dataset_name,
            run_id=event.run_id,
            backfill_id=event.backfill_id,
            via=event.via,
            address=event.address,
            request_id=event.request_id,
            before=_plain(event.before),
            after=_plain(event.after),
        )


def _plain(facts: Any) -> dict[str, Any] | None:
    return None if facts is None else dict(facts)
