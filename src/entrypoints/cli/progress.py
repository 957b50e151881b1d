"""Following a run: a bar over its tasks in a terminal, a line a change elsewhere."""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from entrypoints.cli.output import console, on_terminal, print_hint, printable

if TYPE_CHECKING:
    from workflow_core.service import WorkflowService
    from workflow_core.usecases.observe import RunView

POLL: Final = 0.5
"""Seconds between two looks."""


def follow(service: WorkflowService, run_id: str, *, timeout: float | None) -> RunView:
    """Show the run's progress on standard error until it has ended, or ``timeout`` seconds are over; return the last look.

    Whoever stops waiting before the run has ended is told how to go on. Sweeps on the way: without a running server nobody else would
    send a run that waits for its DAG.
    """
    try:
        view = _follow(service, run_id, None if timeout is None else monotonic() + timeout)
    except KeyboardInterrupt:
        _goes_on(run_id)
        raise
    if not view.run.status.is_final:
        _goes_on(run_id)
    return view


def _follow(service: WorkflowService, run_id: str, deadline: float | None) -> RunView:
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    err = console(stderr=True)
    animated = err.is_interactive and on_terminal(stderr=True)  # FORCE_COLOR colours a CI log, but cannot animate it
    told = ""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tasks"),
        TimeElapsedColumn(),
    )
    if animated:
        err.print(escape(run_id), soft_wrap=True)
    with Progress(*columns, console=err, disable=not animated, transient=False) as bar:
        task = bar.add_task("PENDING", total=None)
        while True:
            view = service.status(run_id)
            total, done, text = _told(view)
            bar.update(task, total=total or None, completed=done, description=escape(text))
            if not animated and (line := f"{run_id}: {text} ({done}/{total})") != told:
                err.print(escape(line), soft_wrap=True)
                told = line
            left = POLL if deadline is None else deadline - monotonic()
            if view.run.status.is_final or not left > 0:
                return view
            if view.run.observed_at is None or view.run.status == "STOPPING":
                service.sweep()
            sleep(min(POLL, left))


def _goes_on(run_id: str) -> None:
    print_hint(f"The run goes on. To follow it again: dli workflow status {run_id} --follow")


def _told(view: RunView) -> tuple[int, int, str]:
    progress = view.run.progress
    text = view.run.status.value
    if progress is not None and progress.current_task and not view.run.status.is_final:
        text = f"{text} {printable(progress.current_task)}"
    if view.stale:
        text = f"{text} (Airflow does not answer)"
    if progress is None:
        return 0, 0, text
    return progress.total_tasks, progress.completed_tasks + progress.failed_tasks, text
