"""What all requests and answers share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema


def rfc3339(moment: datetime) -> str:
    """UTC, whole seconds, ``Z``: the form of every time in the specification's examples."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _whole_second(moment: datetime) -> datetime:
    """As it will be answered, so that an answer is the same before and after a journey as JSON."""
    return moment.astimezone(UTC).replace(microsecond=0)


UtcTime = Annotated[
    AwareDatetime,
    AfterValidator(_whole_second),
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-01T10:00:00Z"]}),
]


class Request(BaseModel):
    """A request body. Unknown fields are refused, and values are not converted (``"5"`` is no number)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Answer(BaseModel):
    """An answer. The specification's fields are always there (null where there is nothing to say); further ones, made with
    :func:`extra`, are left out where they have nothing to add.
    """

    model_config = ConfigDict(frozen=True)


def extra(*, default: Any = None, description: str | None = None) -> Any:
    """A field beyond the specification, left out of the answer while it is null, false or empty."""
    return Field(default=default, description=description, exclude_if=_is_empty)


def _is_empty(value: object) -> bool:
    return value is None or value is False or value == ()
