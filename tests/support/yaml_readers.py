"""The project's reader of YAML beside an independent one of YAML 1.2."""

from __future__ import annotations

from typing import Any, Final

import yaml12

from workflow_core.domain.spec.text import read_yaml
from workflow_core.errors import InvalidWorkflowSpec

REFUSED: Final = (
    "the tag ",
    "only YAML 1.2 is supported",
    "merge keys ('<<') are not supported",
    "a key is missing here",
    "is not a text, as keys must be",
    "a key must be a plain word",
    "JSON has no such number",
    "out of range",
    "more than 1000 digits",
    "a second document begins here",
    "the YAML is empty",
    "which cannot be stored",
    "the key is repeated here",
    "not allowed without quotes",
)
"""All that the project refuses though YAML 1.2 gives it a meaning: JSON has no such value, or a spec has no use for it."""


def ours(text: str) -> Any:
    """The value that the project reads; raises InvalidWorkflowSpec."""
    return read_yaml(text, max_bytes=1_000_000).data


def theirs(text: str) -> Any:
    """The value that the other reader reads; raises ValueError."""
    read: Any = yaml12.parse_yaml(text)
    return read


def same(text: str) -> bool:
    """Whether both readers take the text for equal values of equal types, or both refuse it, or the project for a reason of the list."""
    try:
        expected = repr(theirs(text))
    except ValueError:
        expected = ""
    try:
        return repr(ours(text)) == expected
    except InvalidWorkflowSpec as error:
        return not expected or any(reason in str(error) for reason in REFUSED)
