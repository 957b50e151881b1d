"""A process that can die, or stand still, at any of its calls of a port."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class DiedError(BaseException):
    """The process is gone."""


@define
class Process:
    """One process; after its death, none of its calls has an effect."""

    calls_left: int | None = None
    dies_after: bool = False
    is_dead: bool = False
    at_call: dict[int, Callable[[], None]] = field(factory=dict)
    """The event after this number of calls."""

    def through(self, port: Any) -> Any:
        """The port, as this process reaches it."""
        return Reached(port, self)

    @contextmanager
    def call(self) -> Iterator[None]:
        """One call of a port."""
        if self.is_dead:
            raise DiedError
        due = self.at_call.pop(0, None)
        self.at_call = {left - 1: event for left, event in self.at_call.items()}
        if due is not None:
            due()
        last = self.calls_left == 0
        if self.calls_left is not None:
            self.calls_left -= 1
        if last and not self.dies_after:
            self.is_dead = True
            raise DiedError
        yield
        if last:
            self.is_dead = True
            raise DiedError


class Reached:
    """A port, as one process reaches it."""

    def __init__(self, port: Any, process: Process) -> None:
        self._port, self._process = port, process

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name == "under":  # no call: it only says what the next ones carry
            return method

        def call(*arguments: Any, **named: Any) -> Any:
            with self._process.call():
                return method(*arguments, **named)

        return call
