"""``dli workflow backfill`` starts a backfill; ``dli backfill …`` lists, follows, pauses, resumes and stops backfills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from workflow_entrypoints.cli import choices
from workflow_entrypoints.cli.commands import App
from workflow_entrypoints.cli.output import Format
from workflow_entrypoints.cli.workflow import Limit, Name, Offset, Output, Timeout

if TYPE_CHECKING:
    from workflow_core.api import WorkflowApi

app = App(help="Follow, pause, resume and stop backfills.", no_args_is_help=True)

BackfillId = Annotated[
    str, typer.Argument(metavar="BACKFILL_ID", help="The backfill's id, as `workflow backfill` printed it.")
]
Reason = Annotated[str | None, typer.Option(help="The reason; shown with the status.")]


def start(
    name: Name,
    start_date: Annotated[str, typer.Option("--start-date", help="The first date, YYYY-MM-DD.")],
    end_date: Annotated[str, typer.Option("--end-date", help="The last date, included.")],
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="KEY=VALUE, repeatable. The value is text unless it is JSON: 5, true, [1]."),
    ] = None,
    params: Annotated[str | None, typer.Option("--params", help="All parameters as one JSON object.")] = None,
    parallel: Annotated[bool, typer.Option("--parallel", help="Run several dates at the same time.")] = False,
    max_active: Annotated[
        int | None, typer.Option("--max-active", help="With --parallel: the maximum number of active runs, 1 to 100.")
    ] = None,
    reprocess: Annotated[
        choices.Reprocess,
        typer.Option("--reprocess", case_sensitive=False, help="Which dates with an existing run to run again."),
    ] = choices.Reprocess.NONE,
    backwards: Annotated[bool, typer.Option("--backwards", help="Start with the newest date.")] = False,
    on_failure: Annotated[
        choices.OnFailure | None,
        typer.Option(
            "--on-failure",
            case_sensitive=False,
            help="After a failure: stop (the default) or continue (the default with --parallel).",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the request without starting a run.")] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", "-w", help="Wait until the backfill has ended; exit code 1 unless every date succeeded."
        ),
    ] = False,
    timeout: Timeout = None,
    output: Output = Format.TABLE,
) -> None:
    """Run a workflow once for each date of a range.

    Example: dli workflow backfill iceberg.analytics.daily_clicks --start-date 2026-01-01 --end-date 2026-01-07 --wait
    """
    from workflow_core.api import BackfillRequest
    from workflow_core.api.findings import checked
    from workflow_core.domain.backfill import BackfillStatus, skip_warning
    from workflow_core.errors import InvalidRequest
    from workflow_entrypoints.cli import exit_codes
    from workflow_entrypoints.cli.inputs import read_date, read_params
    from workflow_entrypoints.cli.output import print_answer, print_hint, print_warnings
    from workflow_entrypoints.cli.session import get_api

    if timeout is not None and not wait:
        raise InvalidRequest("needs --wait", field="--timeout")
    api = get_api()
    request = checked(
        BackfillRequest,
        start_date=read_date(start_date, "--start-date"),
        end_date=read_date(end_date, "--end-date"),
        params=read_params(param or [], params, name, api),
        dry_run=dry_run,
        parallel=parallel,
        max_active=max_active,
        reprocess=reprocess,
        run_backwards=backwards,
        on_failure=on_failure,
    )
    answer = api.backfill(name, request)
    warning = skip_warning(
        answer.skipped, to_run=answer.total_runs, failed="--reprocess failed", every="--reprocess all"
    )
    if wait and not dry_run:
        if warning:
            print_warnings([warning])
        _follow(api, answer.backfill_id, timeout, output)
        return
    print_answer(answer, output)
    if warning:
        print_warnings([warning])
    if dry_run:
        return
    if not answer.status.is_final:
        print_hint(f"To follow the backfill: dli backfill status {answer.backfill_id} --follow")
    elif answer.status is not BackfillStatus.SUCCESS:
        raise typer.Exit(exit_codes.NOT_SUCCESSFUL)


@app.command("list")
def list_(name: Name, limit: Limit = 20, offset: Offset = 0, output: Output = Format.TABLE) -> None:
    """List the backfills of a workflow, latest first."""
    from workflow_core.api import BackfillFilters
    from workflow_core.api.findings import checked
    from workflow_entrypoints.cli.output import print_answers
    from workflow_entrypoints.cli.session import get_api

    page = get_api().backfills(name, checked(BackfillFilters, limit=limit, offset=offset))
    columns = {
        "backfill_id": "BACKFILL",
        "status": "STATUS",
        "percent": "%",
        "total_runs": "RUNS",
        "counts.FAILED": "FAILED",
        "created_by": "BY",
        "created_at": "CREATED",
    }
    drop = ("created_by", "counts.FAILED", "total_runs", "created_at")
    print_answers(page.items, output, columns, total=page.total, drop=drop, empty="No backfills.")


@app.command()
def status(
    backfill_id: BackfillId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show progress until the backfill has ended.")] = False,
    timeout: Timeout = None,
    output: Output = Format.TABLE,
) -> None:
    """Show a backfill with each of its dates.

    Example: dli backfill status iceberg.analytics.daily_clicks_backfill_20260101_20260107 --follow
    """
    from workflow_core.errors import InvalidRequest
    from workflow_entrypoints.cli.output import print_backfill
    from workflow_entrypoints.cli.session import get_api

    if timeout is not None and not follow:
        raise InvalidRequest("needs --follow", field="--timeout")
    api = get_api()
    if follow:
        _follow(api, backfill_id, timeout, output)
    else:
        print_backfill(api.backfill_status(backfill_id), output)


@app.command()
def pause(backfill_id: BackfillId, reason: Reason = None, output: Output = Format.TABLE) -> None:
    """Pause a backfill; its remaining runs do not start."""
    from workflow_core.api import BackfillReasonRequest
    from workflow_core.api.findings import checked
    from workflow_entrypoints.cli.output import print_answer
    from workflow_entrypoints.cli.session import get_api

    print_answer(get_api().pause_backfill(backfill_id, checked(BackfillReasonRequest, reason=reason)), output)


@app.command()
def resume(backfill_id: BackfillId, output: Output = Format.TABLE) -> None:
    """Resume a paused backfill after its failed dates."""
    from workflow_entrypoints.cli.output import print_answer
    from workflow_entrypoints.cli.session import get_api

    print_answer(get_api().resume_backfill(backfill_id), output)


@app.command()
def stop(backfill_id: BackfillId, reason: Reason = None, output: Output = Format.TABLE) -> None:
    """Stop a backfill.

    Active runs are stopped, the others are cancelled.
    """
    from workflow_core.api import BackfillReasonRequest
    from workflow_core.api.findings import checked
    from workflow_entrypoints.cli.output import print_answer
    from workflow_entrypoints.cli.session import get_api

    print_answer(get_api().stop_backfill(backfill_id, checked(BackfillReasonRequest, reason=reason)), output)


def _follow(api: WorkflowApi, backfill_id: str, timeout: float | None, output: Format) -> None:
    """Follow a backfill, print its state, and exit with the code for whether every date succeeded."""
    from workflow_core.domain.backfill import BackfillStatus, listed
    from workflow_entrypoints.cli import exit_codes, progress
    from workflow_entrypoints.cli.output import print_backfill, print_hint, print_warnings

    answer = progress.follow_backfill(api, backfill_id, timeout=timeout)
    print_backfill(answer, output)
    if answer.status is BackfillStatus.PAUSED:
        print_hint(f"To resume: dli backfill resume {backfill_id}")
    elif not answer.status.is_final:
        raise typer.Exit(exit_codes.TIMED_OUT)
    if unsuccessful := [date for date in answer.skipped if date.status.is_final and date.status.value != "SUCCESS"]:
        again = (
            f"{answer.dataset_name} --start-date {answer.start_date} --end-date {answer.end_date} --reprocess failed"
        )
        dates = "date" if len(unsuccessful) == 1 else "dates"
        message = f"{len(unsuccessful)} skipped {dates} did not succeed ({listed(unsuccessful)})"
        print_warnings([f"{message}; to run them again: dli workflow backfill {again}"])
    if answer.status is not BackfillStatus.SUCCESS:
        raise typer.Exit(exit_codes.NOT_SUCCESSFUL)
