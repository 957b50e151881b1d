"""Following a run: a bar over its tasks in a terminal, a line a change elsewhere."""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from entrypoints.cli.output import console

if TYPE_CHECKING:
    from workflow_core.service import WorkflowService
    from workflow_core.usecases.observe import RunView

POLL: Final = 0.5
"""Seconds between two looks."""


def follow(service: WorkflowService, run_id: str, *, timeout: float | None) -> RunView:
    """Show the run's progress on standard error until it has ended, or ``timeout`` seconds are over; return the last look.

    Sweeps on the way: without a running server nobody else would send a run that waits for its DAG.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    err = console(stderr=True)
    deadline = None if timeout is None else monotonic() + timeout
    told = ""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tasks"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=False) as bar:
        task = bar.add_task("PENDING", total=None)
        while True:
            view = service.status(run_id)
            total, done, text = _told(view)
            bar.update(task, total=total or None, completed=done, description=text)
            if not err.is_terminal and text != told:
                err.print(f"{run_id}: {text} ({done}/{total})")
                told = text
            if view.run.status.is_final or (deadline is not None and monotonic() >= deadline):
                return view
            if view.run.observed_at is None:
                service.sweep()
            sleep(POLL)


def _told(view: RunView) -> tuple[int, int, str]:
    progress = view.run.progress
    text = view.run.status.value
    if progress is not None and progress.current_task and not view.run.status.is_final:
        text = f"{text} {progress.current_task}"
    if view.stale:
        text = f"{text} (Airflow does not answer)"
    if progress is None:
        return 0, 0, text
    return progress.total_tasks, progress.completed_tasks + progress.failed_tasks, text
