"""Crash points: a process can be killed before and after each change that an operation makes through its ports.

The name of a point comes from the call stack and is never written by hand:
``run:submit._send_once+2:airflow.trigger:after`` is reached in the operation ``run`` of the service, after the trigger in the third
line of ``_send_once``. A read has no effect, so that a crash before or after it equals a crash after the previous change or before
the next one: reads are not points. A new call in a use case that changes something is a new point.

In a folder that all processes share, ``met`` lists each point that a process has reached, a file in ``armed`` makes the next process
that reaches its point die there (the process that removes the file does), and ``died`` lists the points of the deaths.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

OPERATIONS: Final = frozenset(
    {
        "register", "restore", "run", "retry", "stop", "backfill", "pause_backfill", "resume_backfill", "stop_backfill",
        "pause", "unpause", "unregister", "sync", "sync_in_turn", "sweep",
    }
)  # fmt: skip
"""Methods of the service and its sweeper that change something; ``sweep`` is the worker, which continues the others' work."""

ENTRANCES: Final = frozenset({"workflow_core.service", "workflow_core.sweeper"})
"""The modules of these methods."""

READS: Final = frozenset(
    {
        "ping", "health", "dag", "list_dags", "run", "tasks", "runs_with_ended_tasks", "runs_under_way", "changed_runs",
        "get", "stat", "list", "check",
        "workflow", "workflow_by_id", "workflow_by_dag", "list_workflows", "workflows_of_dags", "workflows_to_poll",
        "unsettled_workflows", "revisions", "revision", "code_objects", "runs_by_airflow_id", "history", "last_runs",
        "runs_to_send", "stopping_runs", "retrying_runs", "runs_to_poll", "active_runs", "dated_runs", "backfill",
        "list_backfills", "active_backfills", "backfill_runs", "backfill_counts", "observed_until", "observations",
        "airflow_state", "logs_url", "url", "under", "counts", "retired_names", "run_versions", "run_statuses",
        "key_record", "list_events",
    }
)  # fmt: skip
"""Methods of ports that change nothing; all other methods count as changes."""


class Points:
    """The crash points of this process, over the shared folder."""

    def __init__(self, folder: Path) -> None:
        self._armed, self._met, self._died = folder / "armed", folder / "met", folder / "died"
        self._spared = folder / "spared"
        self._known: set[str] = set()
        self._begun = 0

    def prepare(self) -> None:
        self._armed.mkdir(parents=True)
        self._spared.mkdir()
        self._met.touch()
        self._died.touch()

    def arm(self, point: str) -> None:
        """Kill the process that reaches this point next."""
        (self._armed / point).touch()

    def armed(self) -> set[str]:
        return {path.name for path in self._armed.iterdir()}

    def disarm(self, point: str | None = None) -> None:
        """Disarm the point; None disarms all points."""
        for name in [point] if point is not None else self.armed():
            (self._armed / name).unlink(missing_ok=True)

    def met(self) -> list[str]:
        """Each point that was reached, in order of the first time."""
        return list(dict.fromkeys(self._met.read_text().splitlines()))

    def begin_again(self) -> None:
        """Start to count :meth:`met_again`, which covers only processes that start later."""
        self._begun = len(self._met.read_text().splitlines())

    def met_again(self) -> frozenset[str]:
        """The points that were reached since :meth:`begin_again`."""
        return frozenset(self._met.read_text().splitlines()[self._begun :])

    def died(self) -> list[str]:
        """The point of each death."""
        return self._died.read_text().splitlines()

    @contextmanager
    def spared(self) -> Iterator[None]:
        """Do not kill this process in the meantime."""
        mark = self._spared / str(os.getppid())
        mark.touch()
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)

    def is_spared(self, guard: int) -> bool:
        """Whether the process of this guard must not be killed now."""
        return (self._spared / str(guard)).exists()

    def is_any_spared(self) -> bool:
        """Whether any process must not be killed now."""
        return any(self._spared.iterdir())

    def reach(self, point: str) -> None:
        """Record that the point was reached, and die if it is armed."""
        if point not in self._known:
            self._known.add(point)
            _append(self._met, point)
        if self.is_spared(os.getppid()):
            return
        try:
            (self._armed / point).unlink()
        except FileNotFoundError:
            return
        _append(self._died, point)
        os.kill(os.getpid(), signal.SIGKILL)


def _append(path: Path, line: str) -> None:
    with path.open("a") as file:  # one write for each line, so that lines of several processes stay whole
        file.write(f"{line}\n")


class Crashing:
    """A port whose calls are crash points."""

    def __init__(self, port: object, name: str, points: Points) -> None:
        self._port = port
        self._name = name
        self._points = points

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._port, method)
        if not callable(found) or method in READS:
            return found
        return partial(self._call, method, found)

    def _call(self, method: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        place = _place(sys._getframe(1))
        if place is None:
            return call(*arguments, **named)
        point = f"{place}:{self._name}.{method}"
        self._points.reach(f"{point}:before")
        result = call(*arguments, **named)
        self._points.reach(f"{point}:after")
        return result


def _place(frame: FrameType | None) -> str | None:
    """The current operation and the line of the use case that makes the call; None outside of :data:`OPERATIONS`."""
    site: str | None = None
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        code = frame.f_code
        if (
            site is None
            and module.startswith("workflow_core.usecases.")
            and module != "workflow_core.usecases.reconcile.leases"
        ):
            site = f"{module.rpartition('.')[2]}.{code.co_name}+{frame.f_lineno - code.co_firstlineno}"
        if module in ENTRANCES and site is not None:
            return f"{code.co_name}:{site}" if code.co_name in OPERATIONS else None
        frame = frame.f_back
    return None


def use_case_of(point: str) -> str:
    """The module of the use case that contains a point."""
    return point.split(":")[1].partition(".")[0]


def operation_of(point: str) -> str:
    """The operation that a point belongs to."""
    return point.partition(":")[0]
