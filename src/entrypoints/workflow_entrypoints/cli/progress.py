"""Follow a run or a backfill: a progress bar over its tasks or dates on a terminal, one line per change elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from attrs import frozen

from workflow_entrypoints.cli.output import console, on_terminal, print_hint, printable

if TYPE_CHECKING:
    from workflow_core.api import BackfillStatusAnswer, RunStatusAnswer, WorkflowApi

A = TypeVar("A")

POLL: Final = 0.5
"""Seconds between two polls of an item that the API cannot wait for."""

MAX_WAIT: Final = 10
"""Seconds that one request waits for a change."""


def follow(api: WorkflowApi, run_id: str, *, timeout: float | None) -> RunStatusAnswer:
    """Show the progress of a run on standard error until it has ended or ``timeout`` seconds have passed; return its last state.

    If the command ends before the run, it prints how to follow the run again.
    """
    hint = f"The run continues. To follow it again: dli workflow status {run_id} --follow"
    return _follow(
        _Followed(run_id, "tasks", _waiting_poll(api, run_id), _summary_of_run, _is_over, waits=True), timeout, hint
    )


def follow_backfill(api: WorkflowApi, backfill_id: str, *, timeout: float | None) -> BackfillStatusAnswer:
    """Show the progress of a backfill as :func:`follow` does. A paused backfill ends the wait: a caller must resume it."""
    hint = f"The backfill continues. To follow it again: dli backfill status {backfill_id} --follow"
    poll = partial(api.backfill_status, backfill_id)
    return _follow(_Followed(backfill_id, "dates", lambda _: poll(), _summary_of_backfill, _is_at_rest), timeout, hint)


def _waiting_poll(api: WorkflowApi, run_id: str) -> Callable[[int], RunStatusAnswer]:
    from workflow_core.api import RunFilters

    return lambda seconds: api.status(run_id, RunFilters(wait=seconds))


@frozen
class _Followed(Generic[A]):
    """A followed item.

    Attributes:
        title: the id of the item.
        unit: what its progress counts.
        poll: returns its state; waits up to the given number of seconds for a change if ``waits`` is set.
        summarize: returns total, completed and text of a state.
        is_over: whether a state is the last one.
        waits: whether ``poll`` can wait.
    """

    title: str
    unit: str
    poll: Callable[[int], A]
    summarize: Callable[[A], tuple[int, int, str]]
    is_over: Callable[[A], bool]
    waits: bool = False


def _follow(followed: _Followed[A], timeout: float | None, hint: str) -> A:
    try:
        answer = _watch(followed, None if timeout is None else monotonic() + timeout)
    except KeyboardInterrupt:
        print_hint(hint)
        raise
    if not followed.is_over(answer):
        print_hint(hint)
    return answer


def _watch(followed: _Followed[A], deadline: float | None) -> A:
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    err = console(stderr=True)
    animated = err.is_interactive and on_terminal(stderr=True)  # FORCE_COLOR colours a CI log, but cannot animate it
    printed = ""
    columns = (
        SpinnerColumn("line" if err.options.ascii_only else "dots"),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(followed.unit),
        TimeElapsedColumn(),
    )
    if animated:
        err.print(escape(followed.title), soft_wrap=True)
    with Progress(*columns, console=err, disable=not animated, transient=False) as bar:
        task = bar.add_task("PENDING", total=None)
        seconds = 0
        while True:
            answer = followed.poll(seconds)
            total, done, text = followed.summarize(answer)
            bar.update(task, total=total or None, completed=done, description=escape(text))
            if not animated and (line := f"{followed.title}: {text} ({done}/{total})") != printed:
                err.print(escape(line), soft_wrap=True)
                printed = line
            left = MAX_WAIT if deadline is None else deadline - monotonic()
            if followed.is_over(answer) or not left > 0:
                return answer
            if followed.waits:
                seconds = max(1, min(MAX_WAIT, int(left)))
            else:
                sleep(min(POLL, left))


def _summary_of_run(run: RunStatusAnswer) -> tuple[int, int, str]:
    progress = run.progress
    text = run.status.value
    if progress.current_task and not run.status.is_final:
        text = f"{text} {printable(progress.current_task)}"
    if run.stale:
        text = f"{text} (Airflow does not answer)"
    elif run.held:
        text = f"{text} ({printable(run.held)})"
    return progress.total_tasks, progress.completed_tasks + progress.failed_tasks, text


def _is_over(run: RunStatusAnswer) -> bool:
    return run.status.is_final


def _summary_of_backfill(backfill: BackfillStatusAnswer) -> tuple[int, int, str]:
    ended = [run for run in backfill.runs if run.status.is_final]
    running = [run.date.isoformat() for run in backfill.runs if run.status.value == "RUNNING"]
    more = f" and {len(running) - 1} more" if len(running) > 1 else ""
    text = f"{backfill.status} {running[0]}{more}" if running else backfill.status.value
    if failed := sum(run.status.value != "SUCCESS" for run in ended):
        text = f"{text}, {failed} not successful"
    if backfill.held:
        text = f"{text} ({backfill.held})"
    if backfill.eta:
        text = f"{text}, until {backfill.eta:%H:%M:%SZ}"
    return backfill.total_runs, len(ended), text


def _is_at_rest(backfill: BackfillStatusAnswer) -> bool:
    return backfill.status.is_final or backfill.status.value == "PAUSED"
