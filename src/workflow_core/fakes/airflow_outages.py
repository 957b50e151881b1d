"""Outages of the Airflow in memory, which a test starts and ends."""

from __future__ import annotations

from contextlib import contextmanager
from enum import StrEnum
from threading import RLock
from typing import TYPE_CHECKING

from workflow_core.errors import AirflowOutcomeUnknown, AirflowUnavailable, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Effect(StrEnum):
    """Whether Airflow made a change whose response was lost."""

    DONE = "done"
    NOT_DONE = "not done"


class AirflowOutages:
    """The part of the Airflow in memory that fails on demand; threads may share it."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._down = False
        self._lost: list[Effect] = []

    def go_down(self) -> None:
        """Make every method except ``logs_url`` raise :class:`AirflowUnavailable` until :meth:`come_back`."""
        self._down = True

    def come_back(self) -> None:
        """Undo :meth:`go_down` and :meth:`lose_answers`."""
        self._down = False
        self._lost.clear()

    def lose_answers(self, effect: Effect, *, times: int = 1) -> None:
        """Make the next ``times`` changes raise :class:`AirflowOutcomeUnknown`, with this effect."""
        self._lost += [effect] * times

    @contextmanager
    def _reached(self, *, changes: bool = False) -> Iterator[None]:
        with self._lock:
            if self._down:
                msg = "The Airflow in memory is down."
                raise AirflowUnavailable(msg)
            lost = self._lost.pop(0) if changes and self._lost else None
            if lost is not Effect.NOT_DONE:
                try:
                    yield
                except WorkflowError:  # a refusal is also a response
                    if lost is None:
                        raise
            if lost is not None:
                msg = "The Airflow in memory lost its response."
                raise AirflowOutcomeUnknown(msg)
