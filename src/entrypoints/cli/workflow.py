"""``dli workflow …``: register, run, watch, list, look back, pause."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from entrypoints.cli import publish
from entrypoints.cli.output import Format

if TYPE_CHECKING:
    from workflow_core.api import WorkflowApi
    from workflow_core.domain.run import RunStatus

app = typer.Typer(help="Register, run and watch workflows.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The dataset name, such as iceberg.analytics.daily_clicks.")]
RunId = Annotated[str, typer.Argument(metavar="RUN_ID", help="The run's id, as `run` printed it.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="How to print the answer.")]
Limit = Annotated[int, typer.Option("--limit", help="How many at most, 1 to 500.")]
Offset = Annotated[int, typer.Option("--offset", help="How many to pass over.")]
IfMatch = Annotated[int | None, typer.Option("--if-match", min=1, help="Only if this is still the current revision.")]
Timeout = Annotated[float | None, typer.Option("--timeout", min=0, help="Seconds to wait at most (exit code 7 then).")]


@app.command()
def register(
    name: Name,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="The YAML file; - for standard input.")] = None,
    yaml_content: Annotated[
        str | None, typer.Option("--yaml-content", metavar="TEXT", help="The YAML itself, instead of --file.")
    ] = None,
    source_type: Annotated[
        str, typer.Option("--source-type", help="MANUAL; a service refuses CODE, which a CI pipeline publishes.")
    ] = "MANUAL",
    cron: Annotated[str | None, typer.Option(help="When to run, over what the YAML says: '0 6 * * *'.")] = None,
    timezone: Annotated[
        str | None, typer.Option(help="The time zone of the cron expression, over what the YAML says.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="The owner's e-mail, over what the YAML says.")] = None,
    team: Annotated[str | None, typer.Option(help="The team, over what the YAML says.")] = None,
    description: Annotated[str | None, typer.Option(help="What it is for, over what the YAML says.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Make it the next revision of an existing workflow.")] = False,
    if_match: IfMatch = None,
    output: Output = Format.TABLE,
) -> None:
    """Register a workflow from its YAML, and wait until Airflow serves it.

    Example: dli workflow register iceberg.analytics.daily_clicks -f daily_clicks.yaml
    """
    from entrypoints.cli.inputs import one_of, read_schedule, read_yaml
    from entrypoints.cli.output import print_answer, print_warnings
    from entrypoints.cli.session import get_api
    from workflow_core.api import RegisterRequest
    from workflow_core.api.findings import checked
    from workflow_core.domain.workflow import SourceType

    text = read_yaml(file, yaml_content)
    request = checked(
        RegisterRequest,
        dataset_name=name,
        yaml_content=text,
        source_type=one_of(SourceType, source_type, "--source-type"),
        schedule=read_schedule(cron, timezone, text),
        owner=owner,
        team=team,
        description=description,
        force=force,
    )
    answer = get_api().register(request, if_match=if_match)
    print_answer(answer, output)
    print_warnings(answer.warnings)


@app.command()
def run(
    name: Name,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="KEY=VALUE, repeatable. The value is text unless it is JSON: 5, true, [1]."),
    ] = None,
    params: Annotated[str | None, typer.Option("--params", help="All parameters as one JSON object.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, start nothing.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Follow the run to its end (exit code 1 if it fails).")
    ] = False,
    timeout: Timeout = None,
    output: Output = Format.TABLE,
) -> None:
    """Start a run.

    Example: dli workflow run iceberg.analytics.daily_clicks -p date=2026-01-02 --wait
    """
    from entrypoints.cli import exit_codes
    from entrypoints.cli.inputs import read_params
    from entrypoints.cli.output import print_answer
    from entrypoints.cli.session import get_api
    from workflow_core.api import RunRequest
    from workflow_core.api.findings import checked
    from workflow_core.domain.run import RunStatus
    from workflow_core.errors import InvalidRequest

    given = read_params(param or [], params)
    if timeout is not None and not wait:
        raise InvalidRequest("needs --wait", field="--timeout")
    request = checked(RunRequest, params=given, dry_run=dry_run)
    api = get_api()
    accepted = api.run(name, request)
    if wait and not dry_run:
        _follow(api, accepted.run_id, timeout, output)
        return
    print_answer(accepted, output)
    if accepted.status is RunStatus.FAILED:  # Airflow would not take it
        raise typer.Exit(exit_codes.NOT_SUCCESSFUL)


@app.command()
def status(
    run_id: RunId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show progress until the run has ended.")] = False,
    timeout: Timeout = None,
    output: Output = Format.TABLE,
) -> None:
    """Show one run as it is now.

    Example: dli workflow status iceberg.analytics.daily_clicks_20260102_060000 --follow
    """
    from entrypoints.cli.output import print_answer
    from entrypoints.cli.session import get_api
    from workflow_core.errors import InvalidRequest

    if timeout is not None and not follow:
        raise InvalidRequest("needs --follow", field="--timeout")
    api = get_api()
    if follow:
        _follow(api, run_id, timeout, output)
        return
    print_answer(api.status(run_id), output)


def _follow(
    api: WorkflowApi, run_id: str, timeout: float | None, output: Format, *, wanted: RunStatus | None = None
) -> None:
    """Follow a run, print how it stands, and end with the code that says whether it ended as ``wanted`` (SUCCESS, unless given)."""
    from entrypoints.cli import exit_codes, progress
    from entrypoints.cli.output import print_answer
    from workflow_core.domain.run import RunStatus

    answer = progress.follow(api, run_id, timeout=timeout)
    print_answer(answer, output)
    if not answer.status.is_final:
        raise typer.Exit(exit_codes.TIMED_OUT)
    if answer.status is not (wanted or RunStatus.SUCCESS):
        raise typer.Exit(exit_codes.NOT_SUCCESSFUL)


@app.command("list")
def list_(
    status: Annotated[str | None, typer.Option(help="active, paused or disabled.")] = None,
    source_type: Annotated[str | None, typer.Option("--source-type", help="MANUAL or CODE.")] = None,
    owner: Annotated[str | None, typer.Option(help="The owner's e-mail.")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
    output: Output = Format.TABLE,
) -> None:
    """List workflows by name, each with its last and next run.

    Example: dli workflow list --status paused --owner data@example.com
    """
    from entrypoints.cli.inputs import one_of
    from entrypoints.cli.output import print_answers
    from entrypoints.cli.session import get_api
    from workflow_core.api import WorkflowFilters
    from workflow_core.api.findings import checked
    from workflow_core.domain.workflow import SourceType, WorkflowStatus

    filters = checked(
        WorkflowFilters,
        status=one_of(WorkflowStatus, status, "--status"),
        source_type=one_of(SourceType, source_type, "--source-type"),
        owner=owner,
        limit=limit,
        offset=offset,
    )
    found = get_api().workflows(filters)
    columns = {
        "dataset_name": "NAME",
        "status": "STATUS",
        "source_type": "SOURCE",
        "owner": "OWNER",
        "schedule.cron": "CRON",
        "schedule.timezone": "ZONE",
        "last_run.status": "LAST RUN",
        "last_run.started_at": "STARTED",
        "next_run": "NEXT RUN",
    }
    drop = ("schedule.timezone", "source_type", "last_run.started_at", "owner", "schedule.cron", "next_run")
    print_answers(found.items, output, columns, total=found.total, drop=drop)


@app.command()
def history(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One workflow's runs only.")] = None,
    dataset_name: Annotated[str | None, typer.Option("--dataset-name", help="The same as NAME.")] = None,
    start_date: Annotated[str | None, typer.Option("--start-date", help="YYYY-MM-DD, in UTC, inclusive.")] = None,
    end_date: Annotated[str | None, typer.Option("--end-date", help="YYYY-MM-DD, in UTC, inclusive.")] = None,
    limit: Limit = 20,
    offset: Offset = 0,
    output: Output = Format.TABLE,
) -> None:
    """List runs, latest first: ours, scheduled ones and those started in Airflow.

    Example: dli workflow history iceberg.analytics.daily_clicks --start-date 2026-01-01
    """
    from entrypoints.cli.inputs import read_date
    from entrypoints.cli.output import print_answers
    from entrypoints.cli.session import get_api
    from workflow_core.api import HistoryFilters
    from workflow_core.api.findings import checked
    from workflow_core.errors import InvalidRequest

    if name is not None and dataset_name not in {None, name}:
        raise InvalidRequest(f"is not the NAME that was given, {name}; give one of the two", field="--dataset-name")
    filters = checked(
        HistoryFilters,
        dataset_name=dataset_name if name is None else name,
        start_date=read_date(start_date, "--start-date"),
        end_date=read_date(end_date, "--end-date"),
        limit=limit,
        offset=offset,
    )
    found = get_api().history(filters)
    columns = {
        "run_id": "RUN",
        "status": "STATUS",
        "run_type": "TYPE",
        "triggered_by": "BY",
        "started_at": "STARTED",
        "duration_seconds": "SECONDS",
    }
    drop = ("triggered_by", "run_type", "duration_seconds", "started_at")
    print_answers(found.items, output, columns, total=found.total, drop=drop)


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show one workflow with its spec, and how far Airflow has followed."""
    from entrypoints.cli.output import print_answer
    from entrypoints.cli.session import get_api

    print_answer(get_api().workflow(name), output)


@app.command()
def explain(
    subject: Annotated[str, typer.Argument(metavar="NAME|RUN_ID", help="A dataset name, or the id of a run.")],
    output: Output = Format.TABLE,
) -> None:
    """Say in words why a workflow, or a run, does not run.

    Example: dli workflow explain iceberg.analytics.daily_clicks
    """
    from entrypoints.cli.output import Format, print_answer, print_reasons
    from entrypoints.cli.session import get_api
    from workflow_core.errors import InvalidRequest, WorkflowNotFound

    api = get_api()
    try:
        found = api.explain_workflow(subject)
    except (InvalidRequest, WorkflowNotFound):  # then it is that of a run
        found = api.explain_run(subject)
    if output is Format.TABLE:
        print_reasons(found)
    else:
        print_answer(found, output)


@app.command()
def pause(
    name: Name,
    reason: Annotated[str | None, typer.Option(help="Why; shown to whoever asks.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Refuse new runs of a workflow and stop its schedule.

    Runs under way may end: the DAG in Airflow is paused after them, or shortly before the schedule fires next. What has not started by then
    waits until the workflow is unpaused. Without a worker the DAG is paused at once.
    """
    from entrypoints.cli.output import print_answer, print_warnings
    from entrypoints.cli.session import get_api
    from workflow_core.api import PauseRequest
    from workflow_core.api.findings import checked

    answer = get_api().pause(name, checked(PauseRequest, reason=reason))
    print_answer(answer, output)
    print_warnings(answer.warnings)


@app.command()
def unpause(name: Name, output: Output = Format.TABLE) -> None:
    """Let a workflow run again: its schedule fires, and runs that were held go on."""
    from entrypoints.cli.output import print_answer, print_warnings
    from entrypoints.cli.session import get_api

    answer = get_api().unpause(name)
    print_answer(answer, output)
    print_warnings(answer.warnings)


@app.command(name="next")
def next_runs(
    name: Name,
    count: Annotated[int, typer.Option(min=1, max=500, help="How many fire times.")] = 20,
    output: Output = Format.TABLE,
) -> None:
    """List when a workflow fires next, in its time zone and in UTC.

    Example: dli workflow next iceberg.analytics.daily_clicks --count 5
    """
    from entrypoints.cli.output import print_answer, print_answers, print_warnings
    from entrypoints.cli.session import get_api
    from workflow_core.api import NextRunsFilters
    from workflow_core.api.findings import checked

    answer = get_api().next_runs(name, checked(NextRunsFilters, count=count))
    if output is not Format.TABLE:
        print_answer(answer, output)
        return
    if answer.status != "active":
        print_warnings([f"It is {answer.status}: nothing fires until that changes."])
    columns = {"local": answer.schedule.timezone, "at": "UTC", "daylight_saving": "CLOCKS"}
    print_answers(answer.next_runs, output, columns, total=len(answer.next_runs), drop=("daylight_saving",))


@app.command()
def revisions(name: Name, limit: Limit = 50, offset: Offset = 0, output: Output = Format.TABLE) -> None:
    """List every accepted spec of a workflow, latest first."""
    from entrypoints.cli.output import print_answers
    from entrypoints.cli.session import get_api
    from workflow_core.api import RevisionFilters
    from workflow_core.api.findings import checked

    found = get_api().revisions(name, checked(RevisionFilters, limit=limit, offset=offset))
    columns = {
        "revision": "REVISION",
        "created_at": "CREATED",
        "created_by": "BY",
        "current": "CURRENT",
        "served": "IN AIRFLOW",
        "restored_from": "RESTORED FROM",
    }
    print_answers(found.items, output, columns, total=found.total, drop=("restored_from", "created_by"))


@app.command()
def diff(
    name: Name,
    number: Annotated[int, typer.Argument(metavar="REVISION", min=1, help="The number of a revision.")],
    against: Annotated[int | None, typer.Option(min=1, help="Compare with this one, not the one before.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Show what a revision changed, as a unified diff."""
    from entrypoints.cli.output import print_answer, printable
    from entrypoints.cli.session import get_api
    from workflow_core.api import DiffFilters
    from workflow_core.api.findings import checked

    answer = get_api().diff(name, number, checked(DiffFilters, against=against))
    if output is not Format.TABLE:
        print_answer(answer, output)
        return
    for line in answer.diff.splitlines():
        colour = {"+": typer.colors.GREEN, "-": typer.colors.RED, "@": typer.colors.CYAN}.get(line[:1])
        typer.secho(printable(line), fg=colour)


@app.command()
def restore(
    name: Name,
    number: Annotated[int, typer.Argument(metavar="REVISION", min=1, help="The number of a revision.")],
    if_match: IfMatch = None,
    output: Output = Format.TABLE,
) -> None:
    """Go back to an earlier spec: it becomes the next revision."""
    from entrypoints.cli.output import print_answer, print_warnings
    from entrypoints.cli.session import get_api

    answer = get_api().restore(name, number, if_match=if_match)
    print_answer(answer, output)
    print_warnings(answer.warnings)


@app.command()
def stop(
    run_id: RunId,
    reason: Annotated[str | None, typer.Option(help="Why; shown to whoever asks.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait until nothing of it runs (exit code 1 if it ended otherwise).")
    ] = False,
    timeout: Timeout = None,
    output: Output = Format.TABLE,
) -> None:
    """End a run before its time.

    Example: dli workflow stop iceberg.analytics.daily_clicks_20260102_060000 --reason "wrong input" --wait
    """
    from entrypoints.cli.output import print_answer
    from entrypoints.cli.session import get_api
    from workflow_core.api import StopRequest
    from workflow_core.api.findings import checked
    from workflow_core.domain.run import RunStatus
    from workflow_core.errors import InvalidRequest

    if timeout is not None and not wait:
        raise InvalidRequest("needs --wait", field="--timeout")
    api = get_api()
    answer = api.stop(run_id, checked(StopRequest, reason=reason))
    if wait:
        _follow(api, run_id, timeout, output, wanted=RunStatus.STOPPED)
    else:
        print_answer(answer, output)


@app.command()
def retry(
    run_id: RunId,
    all_tasks: Annotated[
        bool, typer.Option("--all", help="All of it, a success, too; otherwise what failed or was stopped.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Follow the run to its end (exit code 1 if it fails).")
    ] = False,
    timeout: Timeout = None,
    output: Output = Format.TABLE,
) -> None:
    """Have a run that has ended run again, under its id.

    Example: dli workflow retry iceberg.analytics.daily_clicks_20260102_060000 --wait
    """
    from entrypoints.cli import exit_codes
    from entrypoints.cli.output import print_answer
    from entrypoints.cli.session import get_api
    from workflow_core.api import RetryRequest
    from workflow_core.domain.run import RunStatus
    from workflow_core.errors import InvalidRequest

    if timeout is not None and not wait:
        raise InvalidRequest("needs --wait", field="--timeout")
    api = get_api()
    answer = api.retry(run_id, RetryRequest(only_failed=not all_tasks))
    if wait:
        _follow(api, run_id, timeout, output)
        return
    print_answer(answer, output)
    if answer.status is RunStatus.FAILED:  # Airflow would not do it
        raise typer.Exit(exit_codes.NOT_SUCCESSFUL)


@app.command()
def unregister(
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Also while runs have not ended: they are stopped.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Have a workflow no more: its YAML is deleted, its name is free, its history stays."""
    from entrypoints.cli.output import print_answer
    from entrypoints.cli.session import get_api
    from workflow_core.api import UnregisterFilters

    print_answer(get_api().unregister(name, UnregisterFilters(force=force)), output)


app.command()(publish.sync)
app.command()(publish.validate)
