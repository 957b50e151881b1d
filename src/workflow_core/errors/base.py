"""The root of the error tree, and what every error has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence


@frozen(kw_only=True)
class Problem:
    """One thing that is wrong with an input.

    Attributes:
        message: what is wrong, for people.
        field: a dotted path (``schedule.cron``, ``tasks[2].operator``), or None for the input as a whole.
        line: counts from 1, as ``column`` does; both are set where the input is a text, such as the YAML.
        column: the position in the line.
    """

    message: str
    field: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}, column {self.column}: " if self.line is not None else ""
        name = f"{self.field}: " if self.field else ""
        return f"{where}{name}{self.message}"


class WorkflowError(Exception):
    """The root. ``code`` is stable: programs may switch on it. ``message`` is for people."""

    code: str = "INTERNAL_ERROR"
    conceals: bool = False
    """Whether this error conceals a resource that the caller may not see: it stands in for a refusal."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self._problems: tuple[Problem, ...] = ()

    @classmethod
    def with_message(cls, message: str, *, code: str | None = None, problems: Sequence[Problem] = ()) -> Self:
        """Return an error of this class with a message from elsewhere, such as another process.

        Args:
            message: the whole message, instead of the one that the class composes.
            code: a code that this version does not know; None for that of the class.
            problems: the problems of an input.
        """
        error = cls.__new__(cls, message)
        WorkflowError.__init__(error, message)
        error.code = code or cls.code
        error._problems = tuple(problems)  # noqa: SLF001 - a second constructor
        return error

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems of an input, for errors about one; empty for all others."""
        return self._problems


def error_of(code: str, *, among: type[WorkflowError] = WorkflowError) -> type[WorkflowError] | None:
    """Return the class that a code belongs to; None if this version has none."""
    if vars(among).get("code") == code:
        return among
    return next((match for child in among.__subclasses__() if (match := error_of(code, among=child))), None)
