"""Translate pydantic's findings into problems: which field of the request is wrong, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from workflow_core.api.base import STUCK
from workflow_core.domain.names import dotted
from workflow_core.errors import InvalidRequest, Problem

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)

_MESSAGES: Final = {"missing": "is required", "model_type": "must be an object", "dict_type": "must be an object"}


def checked(model: type[M], **values: Any) -> M:
    """Make a request or filters from user input; raises :class:`InvalidRequest` with every finding."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidRequest.of(findings_of(error, model, what="field")) from None


def findings_of(error: ValidationError, model: type[BaseModel], *, what: str) -> list[Problem]:
    """Return one problem for each finding of pydantic. ``what`` is the noun in messages: ``field`` or ``parameter``."""
    details = error.errors(include_url=False, include_input=False)
    return [Problem(field=dotted(_path(item)) or None, message=_message(item, model, what)) for item in details]


def _path(item: ErrorDetails) -> tuple[str | int, ...]:
    return (*item["loc"], *item["ctx"]["path"]) if item["type"] == STUCK else item["loc"]


def _message(item: Any, model: type[BaseModel], what: str) -> str:
    if item["type"] == "extra_forbidden":
        known = (
            f"; the known ones are {', '.join(model.model_fields)}" if model.model_fields else "; there is none here"
        )
        return f"unknown {what}{known if len(item['loc']) == 1 else ''}"
    text: str = _MESSAGES.get(item["type"], item["msg"])
    return text.removeprefix("Value error, ").replace("Input should be", "must be", 1)
