"""Requests and answers of backfills (specification, section 3.2), and of their control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, JsonValue

from workflow_core.api.base import Answer, Request, UtcTime, extra
from workflow_core.api.listing import Day, PageFilters, whole
from workflow_core.api.run import DATASET, USER, example
from workflow_core.domain.backfill import (
    BackfillStatus,
    DesiredState,
    OnFailure,
    Reprocess,
    StateRequest,
    counts_of,
    skip_warning,
)
from workflow_core.domain.paging import MAX_LIMIT
from workflow_core.domain.run import RunStatus, Submission

if TYPE_CHECKING:
    from workflow_core.domain.backfill import BackfillSummary, BackfillView, SkippedDate
    from workflow_core.domain.run import Run

BACKFILL_ID = f"{DATASET}_backfill_20260101_20260107"


class BackfillRequest(Request):
    """A backfill to start: its dates and its options (specification, section 3.2)."""

    model_config = example(
        {"start_date": "2026-01-01", "end_date": "2026-01-07", "params": {"region": "US"}, "parallel": True}
    )

    start_date: Day = Field(description="The first date, in the workflow's time zone.")
    end_date: Day = Field(description="The last date, inclusive; not later than today in that time zone.")
    params: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Values for parameters that the workflow's YAML declares, except `date`: each run has its own.",
    )
    dry_run: bool = Field(default=False, description="Check everything that a real call checks, and change nothing.")
    parallel: bool = Field(default=False, description="Run several dates at a time; otherwise one after the other.")
    max_active: int | None = Field(
        default=None,
        description="With `parallel`: maximum number of active runs, 1 to 100 (8 unless configured otherwise).",
    )
    reprocess: Reprocess = Field(
        default=Reprocess.NONE,
        description="A date that already has a run: skip it (`none`), run it again if its latest run failed or was"
        " stopped (`failed`), or run it again (`all`).",
    )
    run_backwards: bool = Field(default=False, description="Run the newest date first.")
    on_failure: OnFailure | None = Field(
        default=None,
        description="When a run does not succeed: pause the rest (`stop`, the default without `parallel`) or continue"
        " (`continue`, the default with `parallel`).",
    )


class BackfillReasonRequest(Request):
    """The reason for a pause or a stop. The body may be left out."""

    model_config = example({"reason": "Wrong region"})

    reason: str | None = Field(default=None, description="Shown in later answers; at most 1,000 characters.")


class BackfillFilters(PageFilters):
    """The query parameters of a list of backfills."""

    limit: Annotated[int, BeforeValidator(whole)] = Field(
        default=20, ge=1, le=MAX_LIMIT, description="Maximum number of items."
    )


class SkippedDateAnswer(Answer):
    """A date that already has a run and gets no other."""

    date: Day
    run_id: str = Field(description="The run of this date.")
    status: RunStatus = Field(
        description="The status of that run; a date that had succeeded when it was skipped stays SUCCESS."
    )

    @classmethod
    def of(cls, skipped: SkippedDate) -> SkippedDateAnswer:
        """Make the answer from a skipped date."""
        return cls(date=skipped.date, run_id=skipped.run_id, status=skipped.status)


class PlannedRunAnswer(Answer):
    """A run that a real call would create."""

    date: Day
    run_id: str
    logical_date: UtcTime | None

    @classmethod
    def of(cls, run: Run) -> PlannedRunAnswer:
        """Make the answer from a planned run."""
        return cls(date=run.run_date, run_id=run.run_id, logical_date=run.logical_date)


class BackfillAnswer(Answer):
    """The accepted backfill (specification, section 3.2)."""

    model_config = example(
        {
            "backfill_id": BACKFILL_ID,
            "dataset_name": DATASET,
            "start_date": "2026-01-01",
            "end_date": "2026-01-07",
            "run_ids": [f"{BACKFILL_ID}_2026010{day}" for day in range(1, 8)],
            "status": "PENDING",
            "total_runs": 7,
        }
    )

    backfill_id: str
    dataset_name: str
    start_date: Day
    end_date: Day
    run_ids: tuple[str, ...] = Field(description="One run for each date that is not skipped, by date.")
    status: BackfillStatus
    total_runs: int
    skipped: tuple[SkippedDateAnswer, ...] = extra(default=(), description="Dates that already have a run.")
    dry_run: bool = extra(default=False, description="True: nothing was created.")
    runs: tuple[PlannedRunAnswer, ...] = extra(
        default=(), description="With `dry_run`: the runs that would be created."
    )
    warnings: tuple[str, ...] = extra(
        default=(), description="No date runs, or a skipped date has not succeeded; with the remedy."
    )

    @classmethod
    def of(cls, view: BackfillView, *, dry_run: bool = False) -> BackfillAnswer:
        """Make the answer from a backfill."""
        backfill = view.backfill
        warning = skip_warning(
            backfill.skipped, to_run=len(view.runs), failed='"reprocess": "failed"', every='"reprocess": "all"'
        )
        return cls(
            backfill_id=backfill.backfill_id,
            dataset_name=backfill.dataset_name,
            start_date=backfill.start_date,
            end_date=backfill.end_date,
            run_ids=tuple(run.run_id for run in view.runs),
            status=view.summary.status,
            total_runs=len(view.runs),
            skipped=tuple(map(SkippedDateAnswer.of, backfill.skipped)),
            dry_run=dry_run,
            runs=tuple(map(PlannedRunAnswer.of, view.runs)) if dry_run else (),
            warnings=(warning,) if warning else (),
        )


_ITEM = {
    "backfill_id": BACKFILL_ID,
    "dataset_name": DATASET,
    "start_date": "2026-01-01",
    "end_date": "2026-01-07",
    "status": "RUNNING",
    "total_runs": 7,
    "counts": {"PENDING": 4, "RUNNING": 2, "SUCCESS": 1, "FAILED": 0, "STOPPING": 0, "STOPPED": 0},
    "percent": 14,
    "created_by": USER,
    "created_at": "2026-01-08T10:00:00Z",
}


class BackfillItem(Answer):
    """One backfill, without its dates."""

    model_config = example(_ITEM)

    backfill_id: str
    dataset_name: str
    start_date: Day
    end_date: Day
    status: BackfillStatus = Field(
        description="PENDING until a run starts; PAUSED or STOPPING after such a request; RUNNING also while only the"
        " run of a skipped date is active. At the end SUCCESS if every date of the range has succeeded, FAILED if a"
        " run failed or the run of a skipped date did not succeed, STOPPED if the backfill was stopped."
    )
    total_runs: int
    counts: dict[str, int] = Field(description="Number of runs of each status.")
    skipped_counts: dict[str, int] | None = extra(
        description="Number of skipped dates, by the status of their run; left out without skipped dates."
    )
    percent: int = Field(description="Percentage of runs that have ended, rounded down.")
    created_by: str
    created_at: UtcTime
    changed_by: str | None = extra(
        description="The caller who paused, resumed or stopped it last; `system` for its failure policy."
    )
    changed_at: UtcTime | None = extra()
    reason: str | None = extra(description="The reason of that change.")

    @classmethod
    def of(cls, summary: BackfillSummary) -> BackfillItem:
        """Make the answer from a backfill."""
        return cls(**_item(summary))


def _item(summary: BackfillSummary) -> dict[str, Any]:
    backfill = summary.backfill
    first = StateRequest(desired_state=DesiredState.RUN, by=backfill.created_by, at=backfill.created_at)
    changed = backfill.state_request != first
    return {
        "backfill_id": backfill.backfill_id,
        "dataset_name": backfill.dataset_name,
        "start_date": backfill.start_date,
        "end_date": backfill.end_date,
        "status": summary.status,
        "total_runs": summary.total,
        "counts": {status.value: summary.counts.get(status, 0) for status in RunStatus},
        "skipped_counts": {status.value: number for status, number in counts_of(backfill.skipped).items()} or None,
        "percent": summary.percent,
        "created_by": backfill.created_by,
        "created_at": backfill.created_at,
        "changed_by": backfill.state_request.by if changed else None,
        "changed_at": backfill.state_request.at if changed else None,
        "reason": backfill.state_request.reason,
    }


class BackfillRunAnswer(Answer):
    """One date of a backfill."""

    date: Day
    run_id: str
    status: RunStatus
    started_at: UtcTime | None = Field(description="When Airflow started it; null until then.")
    ended_at: UtcTime | None
    reason: str | None = extra(description="Why it ended in this status, where Airflow's state does not show it.")

    @classmethod
    def of(cls, run: Run) -> BackfillRunAnswer:
        """Make the answer from a run of a backfill."""
        has_started = run.submission is Submission.SUBMITTED and run.status is not RunStatus.PENDING
        return cls(
            date=run.run_date,
            run_id=run.run_id,
            status=run.status,
            started_at=run.started_at if has_started else None,
            ended_at=run.ended_at,
            reason=run.reason,
        )


class BackfillStatusAnswer(BackfillItem):
    """One backfill with each of its dates."""

    model_config = example(
        {
            **_ITEM,
            "total_runs": 2,
            "end_date": "2026-01-02",
            "counts": {**_ITEM["counts"], "PENDING": 0, "RUNNING": 1},  # type: ignore[dict-item]
            "percent": 50,
            "params": {"region": "US"},
            "parallel": True,
            "max_active": 8,
            "reprocess": "none",
            "run_backwards": False,
            "on_failure": "continue",
            "eta": "2026-01-08T10:04:30Z",
            "runs": [
                {
                    "date": "2026-01-01",
                    "run_id": f"{BACKFILL_ID}_20260101",
                    "status": "SUCCESS",
                    "started_at": "2026-01-08T10:00:01Z",
                    "ended_at": "2026-01-08T10:00:46Z",
                },
                {
                    "date": "2026-01-02",
                    "run_id": f"{BACKFILL_ID}_20260102",
                    "status": "RUNNING",
                    "started_at": "2026-01-08T10:00:02Z",
                    "ended_at": None,
                },
            ],
        }
    )

    params: dict[str, JsonValue]
    parallel: bool
    max_active: int = Field(description="Maximum number of active runs.")
    reprocess: Reprocess
    run_backwards: bool
    on_failure: OnFailure
    eta: UtcTime | None = Field(
        description="Estimated end, from the mean duration of recent successful runs; null if unknown."
    )
    runs: tuple[BackfillRunAnswer, ...] = Field(description="By date.")
    skipped: tuple[SkippedDateAnswer, ...] = extra(default=(), description="Dates that already had a run.")
    held: str | None = extra(description="Why no run is submitted, or what the backfill waits for.")
    observed_at: UtcTime | None = extra(
        description="The time up to which Airflow's changes are mirrored; until the backfill has ended."
    )

    @classmethod
    def of_view(cls, view: BackfillView) -> BackfillStatusAnswer:
        """Make the answer from a backfill with its runs."""
        backfill = view.backfill
        return cls(
            **_item(view.summary),
            params=dict(backfill.params),
            parallel=backfill.parallel,
            max_active=backfill.max_active,
            reprocess=backfill.reprocess,
            run_backwards=backfill.run_backwards,
            on_failure=backfill.on_failure,
            eta=view.eta,
            runs=tuple(map(BackfillRunAnswer.of, view.runs)),
            skipped=tuple(map(SkippedDateAnswer.of, backfill.skipped)),
            held=view.held,
            observed_at=view.observed_at,
        )
