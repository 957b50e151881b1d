"""A backfill: one run for each date of a range, sent to Airflow under one limit and one failure policy."""

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
"""Who is recorded where a backfill was paused by its own failure policy."""


class Reprocess(StrEnum):
    """What becomes of a date that has a run already."""

    NONE = "none"
    """It is skipped."""
    FAILED = "failed"
    """It is run again if the latest run of that date did not succeed."""
    ALL = "all"
    """It is run again."""


class OnFailure(StrEnum):
    """What the rest of a backfill does when one of its runs did not succeed."""

    STOP = "stop"
    """No more runs are sent: the backfill is paused until somebody resumes it."""
    CONTINUE = "continue"
    """It goes on."""


class Wanted(StrEnum):
    """What somebody wants of a backfill."""

    RUN = "run"
    PAUSE = "pause"
    """No more runs are sent; those under way go on."""
    STOP = "stop"
    """No more runs are sent, and those under way end."""


class BackfillStatus(StrEnum):
    """What a backfill is doing; follows from what is wanted and from its runs."""

    PENDING = "PENDING"
    """None of its runs has started."""
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    SUCCESS = "SUCCESS"
    """Every date of the range has succeeded, by a run of its own or, where it was skipped, by the run that it has."""
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        """Whether every run of it has ended, and of the dates that it skipped."""
        return self in {BackfillStatus.SUCCESS, BackfillStatus.FAILED, BackfillStatus.STOPPED}


@frozen(kw_only=True)
class Wish:
    """What is wanted, who said so, when, and why."""

    wanted: Wanted
    by: str
    at: datetime
    reason: str | None = None


@frozen(kw_only=True)
class SkippedDate:
    """A date that got no run of its own, and the run that it has already: how that stood then, or, where it was read again, stands now."""

    date: date
    run_id: str
    status: RunStatus


@frozen(kw_only=True)
class Backfill:
    """What was asked for, and what is wanted of it now. Its runs are rows of their own, all of them there from the start.

    ``max_active`` is how many of its runs may be under way at the same time: 1 unless ``parallel``. ``accepted`` are runs that did
    not succeed and that somebody has resumed the backfill over. ``updated_at`` is when it was last saved: the worker goes on with
    those first that it has left alone for longest. ``version`` rises with every saved change (optimistic locking).
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
    wish: Wish
    updated_at: datetime
    accepted: tuple[str, ...] = ()
    skipped: tuple[SkippedDate, ...] = ()
    version: int = 1

    @property
    def wanted(self) -> Wanted:
        """What is wanted of it now."""
        return self.wish.wanted

    def status(self, counts: Mapping[RunStatus, int]) -> BackfillStatus:
        """What it is doing, by the number of its runs in each status."""
        present = {status for status, number in counts.items() if number}
        if all(status.is_final for status in present):
            ended = self._ended(present)
            return self._with_skipped() if ended is BackfillStatus.SUCCESS else ended
        if self.wanted is Wanted.STOP:
            return BackfillStatus.STOPPING
        if self.wanted is Wanted.PAUSE:
            return BackfillStatus.PAUSED
        return BackfillStatus.PENDING if present == {RunStatus.PENDING} else BackfillStatus.RUNNING

    def _ended(self, present: set[RunStatus]) -> BackfillStatus:
        """A stop that came when every run had ended already does not count."""
        stopped = RunStatus.STOPPED in present
        if stopped and (self.wanted is Wanted.STOP or RunStatus.FAILED not in present):
            return BackfillStatus.STOPPED
        return BackfillStatus.FAILED if RunStatus.FAILED in present else BackfillStatus.SUCCESS

    def _with_skipped(self) -> BackfillStatus:
        """All runs of its own have succeeded: now the runs of the skipped dates count, since a success means every date of the range."""
        present = {skipped.status for skipped in self.skipped}
        if not all(status.is_final for status in present):
            return BackfillStatus.RUNNING
        return BackfillStatus.SUCCESS if present <= {RunStatus.SUCCESS} else BackfillStatus.FAILED

    def seen_again(self, statuses: Mapping[str, RunStatus]) -> Backfill:
        """The same, with the runs of its skipped dates as they stand now; those that ``statuses`` leaves out stay as they were."""
        now = tuple(evolve(one, status=statuses.get(one.run_id, one.status)) for one in self.skipped)
        return self if now == self.skipped else evolve(self, skipped=now)

    def to_send(self, runs: Sequence[Run]) -> list[Run]:
        """The waiting runs whose turn it is, in their order: as many as may be under way beside those that are."""
        free = self.max_active - len(under_way(runs))
        waiting = sorted(waiting_of(runs), key=lambda run: run.run_date, reverse=self.run_backwards)
        return waiting[: max(0, free)]

    def failure(self, runs: Sequence[Run]) -> Run | None:
        """The earliest run because of which no more may be sent; None if there is none."""
        if self.on_failure is OnFailure.CONTINUE:
            return None
        return next((run for run in unsuccessful(runs) if run.run_id not in self.accepted), None)

    def touched(self, at: datetime) -> Backfill:
        """The worker went on with it."""
        return evolve(self, updated_at=at)

    def paused(self, by: str, reason: str | None, at: datetime) -> Backfill:
        """Nothing more is sent; one that is paused already stays as it was, with its first reason."""
        return self if self.wanted is Wanted.PAUSE else self._wished(Wanted.PAUSE, by, reason, at)

    def resumed(self, by: str, runs: Sequence[Run], at: datetime) -> Backfill:
        """It goes on, over whatever did not succeed until now."""
        if self.wanted is Wanted.RUN:
            return self
        accepted = (*self.accepted, *(run.run_id for run in unsuccessful(runs) if run.run_id not in self.accepted))
        return evolve(self._wished(Wanted.RUN, by, None, at), accepted=accepted)

    def stopping(self, by: str, reason: str | None, at: datetime) -> Backfill:
        """Nothing more is sent, and what is under way is to end."""
        return self if self.wanted is Wanted.STOP else self._wished(Wanted.STOP, by, reason, at)

    def _wished(self, wanted: Wanted, by: str, reason: str | None, at: datetime) -> Backfill:
        return evolve(self, wish=Wish(wanted=wanted, by=by, at=at, reason=reason), updated_at=at)


class HasStatus(Protocol):
    """A run, or a skipped date: here or in an answer of the API."""

    @property
    def status(self) -> RunStatus:
        """How the run stands."""
        ...


def skip_warning(skipped: Sequence[HasStatus], *, to_run: int, failed: str, every: str) -> str | None:
    """What a caller has to know of the skipped dates; None if the others run and these have succeeded.

    ``to_run`` is how many dates run; ``failed`` and ``every`` are what to ask for so that unsuccessful dates, or all, run again.
    """
    ended = [one for one in skipped if one.status in {RunStatus.FAILED, RunStatus.STOPPED}]
    going = [one for one in skipped if not one.status.is_final]
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
    """How many runs there are of each status, in words."""
    return ", ".join(f"{number} {status}" for status, number in counts_of(runs).items())


def waiting_of(runs: Sequence[Run]) -> list[Run]:
    """Those that were never sent, and are to be."""
    return [run for run in runs if run.submission is Submission.WAITING and not run.settled]


def under_way(runs: Sequence[Run]) -> list[Run]:
    """Those that were sent, or are just being sent, and have not ended."""
    return [run for run in runs if run.submission is not Submission.WAITING and not run.settled]


def being_sent(runs: Sequence[Run]) -> list[Run]:
    """Those that were sent without anybody knowing whether they arrived, and are wanted."""
    return [run for run in under_way(runs) if run.submission is Submission.SENDING and run.stop is None]


def unsuccessful(runs: Sequence[Run]) -> list[Run]:
    """Those that ended otherwise than in success: failed, refused, or stopped one by one."""
    return [run for run in runs if run.settled and run.status is not RunStatus.SUCCESS]


def counts_of(runs: Sequence[HasStatus]) -> dict[RunStatus, int]:
    """How many runs there are of each status; statuses without any are left out."""
    return {status: number for status in RunStatus if (number := sum(run.status is status for run in runs))}


def seconds_left(runs: Sequence[Run], *, lanes: int, mean: float, now: datetime) -> float:
    """How long it will probably take until all runs have ended, if each takes ``mean`` seconds and ``lanes`` go at a time."""
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
    """A backfill, and how many of its runs have which status."""

    backfill: Backfill
    counts: Mapping[RunStatus, int]

    @property
    def status(self) -> BackfillStatus:
        """What it is doing."""
        return self.backfill.status(self.counts)

    @property
    def total(self) -> int:
        """How many runs it has."""
        return sum(self.counts.values())

    @property
    def percent(self) -> int:
        """How much of it has ended, rounded down, so that 100 is all."""
        ended = sum(number for status, number in self.counts.items() if status.is_final)
        return 100 * ended // self.total if self.total else 100


@frozen(kw_only=True)
class BackfillView:
    """A backfill with its runs. ``mean_seconds`` is how long a run of it will probably take (None: nobody knows), ``held`` why nothing
    is sent though it is wanted, ``observed_at`` how far Airflow's changes had been followed.
    """

    backfill: Backfill
    runs: Sequence[Run]
    now: datetime
    mean_seconds: float | None = None
    held: str | None = None
    observed_at: datetime | None = None

    @property
    def summary(self) -> BackfillSummary:
        """The same without the runs."""
        return BackfillSummary(backfill=self.backfill, counts=counts_of(self.runs))

    @property
    def eta(self) -> datetime | None:
        """When it will probably have ended; None where that cannot be said, and once it has."""
        going = self.backfill.wanted is Wanted.RUN and self.held is None and not self.summary.status.is_final
        if not going or self.mean_seconds is None:
            return None
        left = seconds_left(self.runs, lanes=self.backfill.max_active, mean=self.mean_seconds, now=self.now)
        return self.now + timedelta(seconds=left)


def backfill_id_for(dataset_name: str, start: date, end: date, *, nth: int = 1) -> str:
    """The id of the ``nth`` backfill of a workflow over these dates (specification, section 3.2)."""
    suffix = "" if nth == 1 else f"_{nth}"
    return f"{dataset_name}_backfill_{start:%Y%m%d}_{end:%Y%m%d}{suffix}"


def slot_run_id(backfill_id: str, day: date) -> str:
    """The id of the run that a backfill makes for this date."""
    return f"{backfill_id}_{day:%Y%m%d}"
