"""Following a run: a bar over its tasks in a terminal, a line a change elsewhere."""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from entrypoints.cli.output import console, on_terminal, print_hint, printable

if TYPE_CHECKING:
    from workflow_core.api import RunStatusAnswer, WorkflowApi

POLL: Final = 0.5
"""Seconds between two looks."""


def follow(api: WorkflowApi, run_id: str, *, timeout: float | None) -> RunStatusAnswer:
    """Show the run's progress on standard error until it has ended, or ``timeout`` seconds are over; return the last look.

    Whoever stops waiting before the run has ended is told how to go on.
    """
    try:
        run = _follow(api, run_id, None if timeout is None else monotonic() + timeout)
    except KeyboardInterrupt:
        _goes_on(run_id)
        raise
    if not run.status.is_final:
        _goes_on(run_id)
    return run


def _follow(api: WorkflowApi, run_id: str, deadline: float | None) -> RunStatusAnswer:
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
            run = api.status(run_id)
            total, done, text = _told(run)
            bar.update(task, total=total or None, completed=done, description=escape(text))
            if not animated and (line := f"{run_id}: {text} ({done}/{total})") != told:
                err.print(escape(line), soft_wrap=True)
                told = line
            left = POLL if deadline is None else deadline - monotonic()
            if run.status.is_final or not left > 0:
                return run
            sleep(min(POLL, left))


def _goes_on(run_id: str) -> None:
    print_hint(f"The run goes on. To follow it again: dli workflow status {run_id} --follow")


def _told(run: RunStatusAnswer) -> tuple[int, int, str]:
    progress = run.progress
    text = run.status.value
    if progress.current_task and not run.status.is_final:
        text = f"{text} {printable(progress.current_task)}"
    if run.stale:
        text = f"{text} (Airflow does not answer)"
    return progress.total_tasks, progress.completed_tasks + progress.failed_tasks, text
