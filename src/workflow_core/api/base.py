"""What all requests and answers share."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import (
    VERSION,
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from workflow_core.domain.names import unstorable

if TYPE_CHECKING:
    from collections.abc import Iterator


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


class Given(BaseModel):
    """What a caller gives: nothing in it that JSON does not carry or no database holds (NaN, NUL, half a character), so that what is
    refused is the same wherever the service runs. Unknown fields are refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="after")
    def _can_travel(self) -> Self:
        for path, wrong in _stuck(dict(self)):
            raise PydanticCustomError(STUCK, "{wrong}", {"wrong": wrong, "path": path})
        return self


STUCK: Final = "stuck"
"""The type of pydantic's finding for a value that cannot travel; ``path`` in its context leads on from the model to the value."""


def _stuck(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        if wrong := unstorable(value):
            yield path, wrong
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield path, "is not a number that JSON has"
    elif isinstance(value, dict):
        for name, item in value.items():
            here = (*path, name)
            if wrong := unstorable(name):
                yield here, wrong
            yield from _stuck(item, here)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _stuck(item, (*path, index))


class Request(Given):
    """A request body. Values are not converted (``"5"`` is no number)."""

    model_config = ConfigDict(strict=True)


OMITS_FIELDS: Final = tuple(int(part) for part in VERSION.split(".")[:2]) >= (2, 12)
"""Whether pydantic omits fields on its own (``exclude_if``). The constraints of Airflow 2.11 and 3.0 fix 2.11, which does not."""

_OMITTED_WHILE_EMPTY: Final = object()


class Answer(BaseModel):
    """An answer. The specification's fields are always there (null where there is nothing to say); further ones, made with
    :func:`extra`, are left out where they have nothing to add.
    """

    model_config = ConfigDict(frozen=True)

    if not OMITS_FIELDS:

        @model_serializer(mode="wrap")
        def _omit_empty(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
            return without_empty_extras(self, handler(self))


def extra(*, default: Any = None, description: str | None = None) -> Any:
    """A field beyond the specification, left out of the answer while it is null, false or empty."""
    if OMITS_FIELDS:
        return Field(default=default, description=description, exclude_if=_is_empty)
    return extra_by_mark(default=default, description=description)


def extra_by_mark(*, default: Any, description: str | None) -> Any:
    """The field of :func:`extra` for a pydantic without ``exclude_if``: :func:`without_empty_extras` finds it by its metadata."""
    field: Any = Field(default=default, description=description)
    field.metadata.append(_OMITTED_WHILE_EMPTY)
    return field


def without_empty_extras(answer: BaseModel, dumped: dict[str, Any]) -> dict[str, Any]:
    """The serialized answer without those of its extra fields that are empty."""
    fields = type(answer).model_fields
    return {
        name: value
        for name, value in dumped.items()
        if not (_OMITTED_WHILE_EMPTY in fields[name].metadata and _is_empty(getattr(answer, name)))
    }


def _is_empty(value: object) -> bool:
    return value is None or value is False or value == ()
