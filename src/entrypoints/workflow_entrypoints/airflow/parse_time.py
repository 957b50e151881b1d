"""Divides the time of one parse among its specs, so that a spec that is slow or hangs does not remove the DAGs of the
others.
"""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

UNTIMED: Final = 24.0
"""Seconds for the specs of a file that Airflow parses without a time limit."""

_USABLE: Final = 0.8
"""The used share of Airflow's time limit (``dagbag_import_timeout``): the limit ends the whole file."""

_SHARE: Final = 0.25
"""The share of the remaining time that one spec may take. A usual one takes milliseconds; one that hangs leaves enough
for the rest.
"""

_AGAIN: Final = 0.5
"""Seconds after which a spec that swallowed the timeout is interrupted again."""

_T = TypeVar("_T")


class SpecTimeout(BaseException):
    """A spec took longer than its share. A ``BaseException``: the interrupted code must not handle it as its own error."""


class ParseTime:
    """The remaining time of this parse for building DAGs.

    Airflow ends a parse by an alarm in the main thread, whose remaining time is read from the process's timer. In
    another thread, or on a system without that timer, nothing is limited. Code that never returns to the interpreter
    cannot be interrupted.
    """

    def __init__(self) -> None:
        remaining = signal.getitimer(signal.ITIMER_REAL)[0] if _can_alarm() else 0.0
        self._until = time.monotonic() + (remaining or UNTIMED / _USABLE) * _USABLE

    def share(self, build: Callable[[], _T]) -> _T:
        """Return the result of ``build``, within its share of the remaining time.

        Raises:
            SpecTimeout: it took longer. Errors of ``build`` pass through.
        """
        if not _can_alarm():
            return build()
        seconds = max(0.05, (self._until - time.monotonic()) * _SHARE)
        armed = True

        def end(_signal: int, _frame: FrameType | None) -> None:
            if armed:
                raise SpecTimeout(f"building the DAG took longer than its share of the parse, {seconds:.1f} s")

        before: Any = signal.getsignal(signal.SIGALRM)
        outer = signal.getitimer(signal.ITIMER_REAL)
        began = time.monotonic()
        signal.signal(signal.SIGALRM, end)
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
            try:
                return build()
            finally:
                armed = False
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            if outer[0]:  # Airflow's own limit continues where it was
                signal.setitimer(signal.ITIMER_REAL, max(0.001, outer[0] - (time.monotonic() - began)), outer[1])


def _can_alarm() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
