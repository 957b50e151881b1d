"""A backfill: one run for each date of a range, under one concurrency limit and one failure policy."""

from __future__ import annotations

import heapq
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import evolve, frozen

from workflow_core.domain.run import RunStatus, Submission

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from workflow_core.domain.run import Run

SYSTEM: Final = "system"
"""The recorded caller when the failure policy of a backfill paused it."""


class Reprocess(StrEnum):
    """Whether a date that already has a run is run again."""

    NONE = "none"
    """The date is skipped."""
    FAILED = "failed"
    """The date is run again if its latest run did not succeed."""
    ALL = "all"
    """The date is run again."""


class OnFailure(StrEnum):
    """The failure policy: what a backfill does after one of its runs did not succeed."""

    STOP = "stop"
    """The backfill is paused, and sends no further runs until a caller resumes it."""
    CONTINUE = "continue"
    """The backfill continues."""


class DesiredState(StrEnum):
    """The state of a backfill that a caller requested."""

    RUN = "run"
    PAUSE = "pause"
    """No further runs are sent; active runs continue."""
    STOP = "stop"
    """No further runs are sent, and active runs are stopped."""


class BackfillStatus(StrEnum):
    """The status of a backfill, derived from its desired state and its runs."""

    PENDING = "PENDING"
    """None of its runs has started."""
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    SUCCESS = "SUCCESS"
    """Every date of the range has succeeded: by a run of the backfill or, for a skipped date, by its earlier run."""
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        """Whether all its runs, and the runs of the dates that it skipped, have ended."""
        return self in {BackfillStatus.SUCCESS, BackfillStatus.FAILED, BackfillStatus.STOPPED}


@frozen(kw_only=True)
class StateRequest:
    """A desired state with the caller who requested it, the time and the reason."""

    desired_state: DesiredState
    by: str
    at: datetime
    reason: str | None = None


@frozen(kw_only=True)
class SkippedDate:
    """A date that the backfill skipped, and its earlier run with the status at that time or, after a refresh, now."""

    date: date
    run_id: str
    status: RunStatus


@frozen(kw_only=True)
class Backfill:
    """A backfill as requested, and its current desired state. Its runs are separate rows, which all exist from the start.

    ``max_active`` is the limit of concurrently active runs: 1 unless ``parallel``. ``accepted`` are the unsuccessful runs over which
    a caller resumed the backfill. ``updated_at`` is when it was last saved: the worker first advances the backfill with the oldest
    one. ``version`` rises with every saved change (optimistic locking).
    """

    backfill_id: str
    workflow_id: UUID
    dataset_name: str
    start_date: date
    end_date: date
    params: Mapping[str, Any]
    parallel: bool
    max_active: int
    reprocess: Reprocess
    run_backwards: bool
    on_failure: OnFailure
    created_by: str
    created_at: datetime
    state_request: StateRequest
    updated_at: datetime
    accepted: tuple[str, ...] = ()
    skipped: tuple[SkippedDate, ...] = ()
    version: int = 1

    @property
    def desired_state(self) -> DesiredState:
        """The current desired state."""
        return self.state_request.desired_state

    def status(self, counts: Mapping[RunStatus, int]) -> BackfillStatus:
        """Return the status, given the number of runs in each status."""
        present = {status for status, number in counts.items() if number}
        if all(status.is_final for status in present):
            ended = self._ended(present)
            return self._with_skipped() if ended is BackfillStatus.SUCCESS else ended
        if self.desired_state is DesiredState.STOP:
            return BackfillStatus.STOPPING
        if self.desired_state is DesiredState.PAUSE:
            return BackfillStatus.PAUSED
        return BackfillStatus.PENDING if present == {RunStatus.PENDING} else BackfillStatus.RUNNING

    def _ended(self, present: set[RunStatus]) -> BackfillStatus:
        """Return the status when all runs have ended. A stop that came after the end of every run does not count."""
        stopped = RunStatus.STOPPED in present
        if stopped and (self.desired_state is DesiredState.STOP or RunStatus.FAILED not in present):
            return BackfillStatus.STOPPED
        return BackfillStatus.FAILED if RunStatus.FAILED in present else BackfillStatus.SUCCESS

    def _with_skipped(self) -> BackfillStatus:
        """Return the status when all runs have succeeded: success also requires the runs of the skipped dates."""
        present = {skipped.status for skipped in self.skipped}
        if not all(status.is_final for status in present):
            return BackfillStatus.RUNNING
        return BackfillStatus.SUCCESS if present <= {RunStatus.SUCCESS} else BackfillStatus.FAILED

    def with_skipped_statuses(self, statuses: Mapping[str, RunStatus]) -> Backfill:
        """Update the statuses of the runs of skipped dates; a run that is not in ``statuses`` keeps its status."""
        skipped = tuple(evolve(date, status=statuses.get(date.run_id, date.status)) for date in self.skipped)
        return self if skipped == self.skipped else evolve(self, skipped=skipped)

    def to_send(self, runs: Sequence[Run]) -> list[Run]:
        """Return the waiting runs to send now, in order: as many as the limit of active runs leaves room for."""
        free = self.max_active - len(under_way(runs))
        waiting = sorted(waiting_of(runs), key=lambda run: run.run_date, reverse=self.run_backwards)
        return waiting[: max(0, free)]

    def failure(self, runs: Sequence[Run]) -> Run | None:
        """Return the earliest unsuccessful run that stops further sending; None if there is none."""
        if self.on_failure is OnFailure.CONTINUE:
            return None
        return next((run for run in unsuccessful(runs) if run.run_id not in self.accepted), None)

    def touched(self, at: datetime) -> Backfill:
        """Record that the worker advanced the backfill."""
        return evolve(self, updated_at=at)

    def paused(self, by: str, reason: str | None, at: datetime) -> Backfill:
        """Pause it. A backfill that is paused already is unchanged and keeps its first reason."""
        return self if self.desired_state is DesiredState.PAUSE else self._requested(DesiredState.PAUSE, by, reason, at)

    def resumed(self, by: str, runs: Sequence[Run], at: datetime) -> Backfill:
        """Resume it, and accept the runs that have not succeeded until now."""
        if self.desired_state is DesiredState.RUN:
            return self
        accepted = (*self.accepted, *(run.run_id for run in unsuccessful(runs) if run.run_id not in self.accepted))
        return evolve(self._requested(DesiredState.RUN, by, None, at), accepted=accepted)

    def stopping(self, by: str, reason: str | None, at: datetime) -> Backfill:
        """Stop it: no further runs are sent, and active runs are stopped."""
        return self if self.desired_state is DesiredState.STOP else self._requested(DesiredState.STOP, by, reason, at)

    def _requested(self, desired_state: DesiredState, by: str, reason: str | None, at: datetime) -> Backfill:
        return evolve(
            self, state_request=StateRequest(desired_state=desired_state, by=by, at=at, reason=reason), updated_at=at
        )


class HasStatus(Protocol):
    """A run or a skipped date, as an entity or in an API response."""

    @property
    def status(self) -> RunStatus:
        """The status of the run."""
        ...


def skip_warning(skipped: Sequence[HasStatus], *, to_run: int, failed: str, every: str) -> str | None:
    """Return the warning about skipped dates; None if other dates run and all skipped dates have succeeded.

    ``to_run`` is the number of dates that run; ``failed`` and ``every`` are the options that run unsuccessful dates, or all dates,
    again.
    """
    ended = [date for date in skipped if date.status in {RunStatus.FAILED, RunStatus.STOPPED}]
    going = [date for date in skipped if not date.status.is_final]
    if not skipped or (to_run and not ended and not going):
        return None
    succeeded = len(skipped) - len(ended) - len(going)
    parts = [f"{succeeded} already succeeded"] if succeeded else []
    parts += [f"{len(ended)} did not succeed ({listed(ended)})"] if ended else []
    parts += (
        [f"{len(going)} already {'has' if len(going) == 1 else 'have'} a run under way ({listed(going)})"]
        if going
        else []
    )
    advice = f"; use {failed} to run the unsuccessful dates again" if ended else ""
    if not to_run and not ended and not going:
        advice = f"; use {every} to run them again"
    return f"{to_run} of {to_run + len(skipped)} dates will run: {', '.join(parts)}{advice}."


def listed(runs: Sequence[HasStatus]) -> str:
    """Return the number of runs in each status as text."""
    return ", ".join(f"{number} {status}" for status, number in counts_of(runs).items())


def waiting_of(runs: Sequence[Run]) -> list[Run]:
    """Return the runs that were never sent and are still to be sent."""
    return [run for run in runs if run.submission is Submission.WAITING and not run.is_settled]


def under_way(runs: Sequence[Run]) -> list[Run]:
    """Return the runs that were sent, or are being sent, and have not ended."""
    return [run for run in runs if run.submission is not Submission.WAITING and not run.is_settled]


def being_sent(runs: Sequence[Run]) -> list[Run]:
    """Return the runs that were sent without confirmation by Airflow and are not to be stopped."""
    return [run for run in under_way(runs) if run.submission is Submission.SENDING and run.stop is None]


def unsuccessful(runs: Sequence[Run]) -> list[Run]:
    """Return the runs that ended without success: failed, refused, or stopped individually."""
    return [run for run in runs if run.is_settled and run.status is not RunStatus.SUCCESS]


def counts_of(runs: Sequence[HasStatus]) -> dict[RunStatus, int]:
    """Return the number of runs in each status, without statuses that have none."""
    return {status: number for status in RunStatus if (number := sum(run.status is status for run in runs))}


def seconds_left(runs: Sequence[Run], *, lanes: int, mean: float, now: datetime) -> float:
    """Estimate the seconds until all runs have ended, if each takes ``mean`` seconds and ``lanes`` run concurrently."""
    going = [
        max(0.0, mean - (now - run.started_at).total_seconds()) if run.status is not RunStatus.PENDING else mean
        for run in under_way(runs)
    ]
    ends = going + [0.0] * max(0, lanes - len(going))
    heapq.heapify(ends)
    for _ in waiting_of(runs):
        heapq.heapreplace(ends, ends[0] + mean)
    return max(ends)


@frozen(kw_only=True)
class BackfillSummary:
    """A backfill, and the number of its runs in each status."""

    backfill: Backfill
    counts: Mapping[RunStatus, int]

    @property
    def status(self) -> BackfillStatus:
        """The status of the backfill."""
        return self.backfill.status(self.counts)

    @property
    def total(self) -> int:
        """The number of its runs."""
        return sum(self.counts.values())

    @property
    def percent(self) -> int:
        """The percentage of runs that have ended, rounded down, so that 100 means all."""
        ended = sum(number for status, number in self.counts.items() if status.is_final)
        return 100 * ended // self.total if self.total else 100


@frozen(kw_only=True)
class BackfillView:
    """A backfill with its runs.

    ``mean_seconds`` is the expected duration of a run (None: unknown), ``held`` the reason why a backfill that should run sends
    nothing, ``observed_at`` the time up to which changes in Airflow had been mirrored.
    """

    backfill: Backfill
    runs: Sequence[Run]
    now: datetime
    mean_seconds: float | None = None
    held: str | None = None
    observed_at: datetime | None = None

    @property
    def summary(self) -> BackfillSummary:
        """The backfill with counts instead of runs."""
        return BackfillSummary(backfill=self.backfill, counts=counts_of(self.runs))

    @property
    def eta(self) -> datetime | None:
        """The expected end; None if it cannot be estimated, and after the end."""
        going = (
            self.backfill.desired_state is DesiredState.RUN and self.held is None and not self.summary.status.is_final
        )
        if not going or self.mean_seconds is None:
            return None
        left = seconds_left(self.runs, lanes=self.backfill.max_active, mean=self.mean_seconds, now=self.now)
        return self.now + timedelta(seconds=left)


def backfill_id_for(dataset_name: str, start: date, end: date, *, nth: int = 1) -> str:
    """Return the id of the ``nth`` backfill of a workflow over these dates (specification, section 3.2)."""
    suffix = "" if nth == 1 else f"_{nth}"
    return f"{dataset_name}_backfill_{start:%Y%m%d}_{end:%Y%m%d}{suffix}"


def slot_run_id(backfill_id: str, day: date) -> str:
    """Return the id of the run that a backfill creates for this date."""
    return f"{backfill_id}_{day:%Y%m%d}"
