"""The characters of YAML 1.2 (chapter 5): the allowed ones, line breaks, and positions."""

from __future__ import annotations

import re
from typing import Final

from workflow_core.errors import InvalidWorkflowSpec, Problem

FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
"""Neither printable nor allowed in quotes (sections 5.1 and 5.2)."""
_UNPRINTABLE: Final = re.compile("[\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")
"""Allowed in quotes only (section 5.1)."""


def refusal(message: str, line: int, column: int) -> InvalidWorkflowSpec:
    """Return the error for one finding at a 1-based line and column."""
    return InvalidWorkflowSpec.of([Problem(message=message, line=line, column=column)])


def unprintable(text: str) -> str | None:
    """Return why a scalar without quotes cannot contain this text; None if it can."""
    if match := _UNPRINTABLE.search(text):
        return f"contains U+{ord(match[0]):04X}, which is not allowed without quotes; write it as an escape in double quotes"
    return None


def normalized(text: str) -> str:
    """The text with each line break as a line feed (section 5.4), and without the byte order mark that may precede it."""
    text = text.removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def place(text: str, offset: int) -> tuple[int, int]:
    """The 1-based line and column of an offset."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
