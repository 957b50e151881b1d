"""``${NAME}`` and ``${NAME:default}`` in the values of the configuration file, by Spring's rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from workflow_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

_MARKS: Final = re.compile(r"\\\$\{|\$\{|\}")
"""The marks that begin or end a placeholder; a backslash before one makes it text."""

MOST: Final = 20
"""Maximum nesting of placeholders in each other's defaults."""


def expanded(value: Any, environment: Mapping[str, str], *, where: str) -> Any:
    r"""Replace each placeholder in a value, also in lists and mappings.

    Everything after the first colon is the default, and may be empty or contain placeholders. An empty variable counts
    as not set, as everywhere in the settings. ``\${`` is the text ``${``. The value of a variable is never expanded
    again. ``where`` is file and key, for the message.

    Raises:
        ConfigurationError: a variable without a default is not set, or a placeholder is malformed; the message contains
            no value.
    """
    if isinstance(value, dict):
        return {key: expanded(inner, environment, where=f"{where}.{key}") for key, inner in value.items()}
    if isinstance(value, list):
        return [expanded(inner, environment, where=where) for inner in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    return _Text(value, environment, where).all()


class _Text:
    """A parser of one value, from left to right."""

    def __init__(self, text: str, environment: Mapping[str, str], where: str) -> None:
        self._text, self._environment, self._where = text, environment, where
        self._at = 0

    def all(self) -> str:
        """Return the whole text, expanded."""
        parts = [self._until_mark(depth=0)]
        while self._at < len(self._text):
            parts.append(self._until_mark(depth=0))
        return "".join(parts)

    def _until_mark(self, *, depth: int) -> str:
        """Return the text up to the end, or, inside a placeholder, up to the brace that ends it."""
        parts: list[str] = []
        while mark := _MARKS.search(self._text, self._at):
            parts.append(self._text[self._at : mark.start()])
            self._at = mark.end()
            if mark[0] == "${":
                parts.append(self._placeholder(depth + 1))
            elif mark[0] == "}" and depth:
                return "".join(parts)
            else:
                parts.append(mark[0].removeprefix("\\"))
        if depth:
            self._refuse("a placeholder has no closing brace; write \\${ for the characters themselves")
        parts.append(self._text[self._at :])
        self._at = len(self._text)
        return "".join(parts)

    def _placeholder(self, depth: int) -> str:
        if depth > MOST:
            self._refuse(f"placeholders are nested more than {MOST} deep")
        end = re.compile(r"[:}]").search(self._text, self._at)
        name = self._text[self._at : end.start() if end else len(self._text)]
        if end is None or not _NAME.match(name):
            self._refuse("a placeholder is not ${NAME} or ${NAME:default}; write \\${ for the characters themselves")
        self._at = end.end() if end else self._at
        value = self._environment.get(name, "")
        if end is not None and end[0] == ":":
            default = self._until_mark(depth=depth) if not value else self._skipped(depth)
            return value or default
        if not value:
            self._refuse(f"the variable {name} is not set, and ${{{name}}} has no default; write ${{{name}:default}}")
        return value

    def _skipped(self, depth: int) -> str:
        """Skip a default that is not needed: the variables in it need not be set."""
        environment, self._environment = self._environment, _Anything()
        try:
            return self._until_mark(depth=depth)
        finally:
            self._environment = environment

    def _refuse(self, why: str) -> None:
        msg = f"{self._where}: {why}"
        raise ConfigurationError(msg)


class _Anything(dict[str, str]):
    """An environment in which every variable is set."""

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ARG002 - the signature of a mapping
        """Return a value for every variable."""
        return "-"
