"""Fields beyond the specification are left out while they are empty, whichever pydantic is installed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer

from workflow_core.api.base import Answer, extra, extra_by_mark, without_empty_extras


class Current(Answer):
    """An answer as the installed pydantic serializes it."""

    name: str | None = None
    warnings: tuple[str, ...] = extra(default=(), description="Warnings.")
    dry_run: bool = extra(default=False)
    detail: str | None = extra()
    count: int | None = extra()


class Marked(BaseModel):
    """The response as serialized by pydantic 2.11."""

    name: str | None = None
    warnings: tuple[str, ...] = extra_by_mark(default=(), description="Warnings.")
    dry_run: bool = extra_by_mark(default=False, description=None)
    detail: str | None = extra_by_mark(default=None, description=None)
    count: int | None = extra_by_mark(default=None, description=None)

    @model_serializer(mode="wrap")
    def _omit_empty(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_empty_extras(self, handler(self))


@pytest.mark.parametrize("model", [Current, Marked])
@pytest.mark.parametrize(
    ("values", "dumped"),
    [
        ({}, {"name": None}),
        ({"name": "a", "warnings": (), "dry_run": False, "detail": None}, {"name": "a"}),
        (
            {"warnings": ("w",), "dry_run": True, "detail": "", "count": 0},
            {"name": None, "warnings": ["w"], "dry_run": True, "detail": "", "count": 0},
        ),
    ],
)
def test_empty_extra_fields_are_omitted(model, values, dumped):
    """Null, false and the empty list are omitted; fields of the specification, empty texts and zeros are not."""
    answer = model(**values)
    assert json.loads(answer.model_dump_json()) == dumped
    assert answer.model_dump(mode="json") == dumped
    assert json.loads(model.model_validate_json(answer.model_dump_json()).model_dump_json()) == dumped


def test_both_ways_describe_the_field_alike():
    """The JSON schema of the answer does not depend on the version of pydantic."""
    current, marked = (model.model_json_schema()["properties"] for model in (Current, Marked))
    assert current == marked
