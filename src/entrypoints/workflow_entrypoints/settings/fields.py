"""What the groups of settings are made of."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class SettingsGroup(BaseModel):
    """Settings that belong together. Each field has the environment variable as its alias, and a description for the
    documentation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def setting(name: str, default: Any, description: str, **rules: Any) -> Any:
    """Return the field of a setting.

    Args:
        name: the environment variable.
        default: the value where it is not set; it is validated like any other.
        description: its line in ``docs/configuration.md``.
        rules: constraints of pydantic, such as ``ge``.
    """
    return Field(default=default, validation_alias=name, description=description, validate_default=True, **rules)


def words(value: object) -> object:
    """Split a text at its commas: a list may be written as one text, as environment variables must."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
