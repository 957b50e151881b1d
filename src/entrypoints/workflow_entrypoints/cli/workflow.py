"""``dli workflow …``: register, run, follow, list and pause workflows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workflow_entrypoints.cli import choices, publish
from workflow_entrypoints.cli.commands import App
from workflow_entrypoints.cli.output import Format

if TYPE_CHECKING:
    from workflow_core.api import WorkflowApi
    from workflow_core.domain.run import RunStatus

app = App(help="Register, run and follow workflows.", no_args_is_help=True)

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The dataset name, such as iceberg.analytics.daily_clicks.",
        autocompletion=choices.complete_name,
    ),
]
RunId = Annotated[str, typer.Argument(metavar="RUN_ID", help="The run's id, as `run` printed it.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="Output format.")]
Limit = Annotated[int, typer.Option("--limit", help="Maximum number of items, 1 to 500.")]
Offset = Annotated[int, typer.Option("--offset", help="Number of items to skip.")]
IfMatch = Annotated[int | None, typer.Option("--if-match", min=1, help="Only if this is still the current revision.")]
Timeout = Annotated[
    float | None, typer.Option("--timeout", min=0, help="Maximum seconds to wait; exit code 7 afterwards.")
]


@app.command()
def register(
    name: Name,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="The YAML file; - for standard input.")] = None,
    yaml_content: Annotated[
        str | None, typer.Option("--yaml-content", metavar="TEXT", help="The YAML itself, instead of --file.")
    ] = None,
    source_type: Annotated[
        choices.Source,
        typer.Option(
            "--source-type",
            case_sensitive=False,
            help="MANUAL; a service refuses CODE, which only CI pipelines publish.",
        ),
    ] = choices.Source.MANUAL,
    cron: Annotated[str | None, typer.Option(help="A cron expression such as '0 6 * * *'; overrides the YAML.")] = None,
    timezone: Annotated[
        str | None, typer.Option(help="The time zone of the cron expression; overrides the YAML.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="The owner's e-mail address; overrides the YAML.")] = None,
    team: Annotated[str | None, typer.Option(help="The team; overrides the YAML.")] = None,
    description: Annotated[str | None, typer.Option(help="The description; overrides the YAML.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Make it the next revision of an existing workflow.")] = False,
    if_match: IfMatch = None,
    output: Output = Format.TABLE,
) -> None:
    """Register a workflow from its YAML file.

    The command waits some seconds until Airflow serves the workflow. With --force, an existing workflow gets its next revision.

    Example: dli workflow register iceberg.analytics.daily_clicks -f daily_clicks.yaml
    """
    from workflow_core.api import RegisterRequest
    from workflow_core.api.findings import checked
    from workflow_entrypoints.cli.inputs import read_schedule, read_yaml
    from workflow_entrypoints.cli.output import print_answer, print_hint, print_warnings
    from workflow_entrypoints.cli.session import get_api

    text = read_yaml(file, yaml_content)
    request = checked(
        RegisterRequest,
        dataset_name=name,
        yaml_content=text,
        source_type=source_type,
        schedule=read_schedule(cron, timezone, text),
        owner=owner,
        team=team,
        description=description,
        force=force,
    )
    api = get_api()
    before = _revision(api, name) if force or if_match else None
    answer = api.register(request, if_match=if_match)
    revision = answer.revision or 1
    print_answer(answer.model_copy(update={"revision": revision}) if output is Format.TABLE else answer, output)
    print_warnings(answer.warnings)
    if before == revision:
        print_hint(f"Nothing changed: revision {revision} has the same text.")


def _revision(api: WorkflowApi, name: str) -> int | None:
    """Return the current revision; None if it cannot be read, because the registration then reports the reason."""
    from workflow_core.errors import WorkflowError

    try:
        return api.workflow(name).revision
    except WorkflowError:
        return None


@app.command()
def run(
    name: Name,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="KEY=VALUE, repeatable. The value is text unless it is JSON: 5, true, [1]."),
    ] = None,
    params: Annotated[str | None, typer.Option("--params", help="All parameters as one JSON object.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the request without starting a run.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait until the run has ended; exit code 1 if it fails.")
    ] = False,
    timeout: Timeout = None,
    output: Output = Format.TABLE,
) -> None:
    """Start a run.

    Example: dli workflow run iceberg.analytics.daily_clicks -p date=2026-01-02 --wait
    """
    from workflow_core.api import RunRequest
    from workflow_core.api.findings import checked
    from workflow_core.domain.run import RunStatus
    from workflow_core.errors import InvalidRequest
    from workflow_entrypoints.cli import exit_codes
    from workflow_entrypoints.cli.inputs import read_params
    from workflow_entrypoints.cli.output import print_answer
    from workflow_entrypoints.cli.session import get_api

    if timeout is not None and not wait:
        raise InvalidRequest("needs --wait", field="--timeout")
    api = get_api()
    request = checked(RunRequest, params=read_params(param or [], params, name, api), dry_run=dry_run)
    accepted = api.run(name, request)
    if wait and not dry_run:
        _follow(api, accepted.run_id, timeout, output)
        return
    print_answer(accepted, output)
    if accepted.status is RunStatus.FAILED:  # Airflow refused it
        raise typer.Exit(exit_codes.NOT_SUCCESSFUL)


@app.command()
def status(
    run_id: RunId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show progress until the run has ended.")] = False,
    timeout: Timeout = None,
    output: Output = Format.TABLE,
) -> None:
    """Show the current state of a run.

    Example: dli workflow status iceberg.analytics.daily_clicks_20260102_060000 --follow
    """
    from workflow_core.errors import InvalidRequest
    from workflow_entrypoints.cli.output import print_answer
    from workflow_entrypoints.cli.session import get_api

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
    """Follow a run, print its state, and exit with the code for whether it ended as ``wanted`` (default: SUCCESS)."""
    from workflow_core.domain.run import RunStatus
    from workflow_entrypoints.cli import exit_codes, progress
    from workflow_entrypoints.cli.output import print_answer

    answer = progress.follow(api, run_id, timeout=timeout)
    print_answer(answer, output)
    if not answer.status.is_final:
        raise typer.Exit(exit_codes.TIMED_OUT)
    if answer.status is not (wanted or RunStatus.SUCCESS):
        raise typer.Exit(exit_codes.NOT_SUCCESSFUL)


@app.command("list")
def list_(
    status: Annotated[
        choices.Status | None, typer.Option(case_sensitive=False, help="Only workflows in this state.")
    ] = None,
    source_type: Annotated[
        choices.Source | None,
        typer.Option("--source-type", case_sensitive=False, help="Only workflows of this source."),
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Only workflows of this owner (e-mail address).")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
    output: Output = Format.TABLE,
) -> None:
    """List workflows with their last and next runs.

    Example: dli workflow list --status paused --owner data@example.com
    """
    from workflow_core.api import WorkflowFilters
    from workflow_core.api.findings import checked
    from workflow_entrypoints.cli.output import print_answers
    from workflow_entrypoints.cli.session import get_api

    filters = checked(
        WorkflowFilters,
        status=status.value if status else None,
        source_type=source_type.value if source_type else None,
        owner=owner,
        limit=limit,
        offset=offset,
    )
    page = get_api().workflows(filters)
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
    print_answers(page.items, output, columns, total=page.total, drop=drop, empty="No workflows.")


@app.command()
def history(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Only runs of this workflow.", autocompletion=choices.complete_name),
    ] = None,
    dataset_name: Annotated[
        str | None, typer.Option("--dataset-name", help="An alternative to the argument NAME.")
    ] = None,
    start_date: Annotated[str | None, typer.Option("--start-date", help="YYYY-MM-DD, in UTC, inclusive.")] = None,
    end_date: Annotated[str | None, typer.Option("--end-date", help="YYYY-MM-DD, in UTC, inclusive.")] = None,
    limit: Limit = 20,
    offset: Offset = 0,
    output: Output = Format.TABLE,
) -> None:
    """List runs, latest first.

    The list includes scheduled runs and runs that were started in Airflow.

    Example: dli workflow history iceberg.analytics.daily_clicks --start-date 2026-01-01
    """
    from workflow_core.api import HistoryFilters
    from workflow_core.api.findings import checked
    from workflow_core.errors import InvalidRequest
    from workflow_entrypoints.cli.inputs import read_date
    from workflow_entrypoints.cli.output import print_answers
    from workflow_entrypoints.cli.session import get_api

    if name is not None and dataset_name not in {None, name}:
        raise InvalidRequest(f"is not the NAME that was given, {name}; give one of the two", field="--dataset-name")
    name = dataset_name if name is None else name
    filters = checked(
        HistoryFilters,
        dataset_name=name,
        start_date=read_date(start_date, "--start-date"),
        end_date=read_date(end_date, "--end-date"),
        limit=limit,
        offset=offset,
    )
    api = get_api()
    page = api.history(filters)
    if name is not None and not page.total:
        _check_known(api, name)
    columns = {
        "run_id": "RUN",
        "status": "STATUS",
        "run_type": "TYPE",
        "triggered_by": "BY",
        "started_at": "STARTED",
        "duration_seconds": "SECONDS",
    }
    drop = ("triggered_by", "run_type", "duration_seconds", "started_at")
    print_answers(page.items, output, columns, total=page.total, drop=drop, empty="No runs.")


def _check_known(api: WorkflowApi, name: str) -> None:
    """Raise :class:`WorkflowNotFound` if no workflow has this name and no former one had a run."""
    from workflow_core.api import HistoryFilters
    from workflow_core.errors import WorkflowNotFound

    try:
        api.workflow(name)
    except WorkflowNotFound:
        if not api.history(HistoryFilters(dataset_name=name, limit=1)).total:
            raise


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show a workflow with its spec and its state in Airflow."""
    from workflow_entrypoints.cli.output import print_answer
    from workflow_entrypoints.cli.session import get_api

    print_answer(get_api().workflow(name), output)


@app.command()
def explain(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="NAME|RUN_ID", help="A dataset name, or the id of a run.", autocompletion=choices.complete_name
        ),
    ],
    output: Output = Format.TABLE,
) -> None:
    """Explain why a workflow or a run does not run.

    Example: dli workflow explain iceberg.analytics.daily_clicks
    """
    from workflow_core.errors import InvalidRequest, WorkflowNotFound
    from workflow_entrypoints.cli.output import Format, print_answer, print_reasons
    from workflow_entrypoints.cli.session import get_api
    from workflow_entrypoints.cli.wording import is_run_id

    api = get_api()
    try:
        explanation = api.explain_workflow(subject)
    except (InvalidRequest, WorkflowNotFound):
        if not is_run_id(subject):
            raise
        explanation = api.explain_run(subject)
    if output is Format.TABLE:
        print_reasons(explanation)
    else:
        print_answer(explanation, output)


@app.command()
def pause(
    name: Name,
    reason: Annotated[str | None, typer.Option(help="The reason; shown with the status.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Refuse new runs of a workflow and stop its schedule.

    Active runs may end: the DAG in Airflow is paused after them, or shortly before the next fire time. Runs that have not
    started by then wait until the workflow is unpaused. Without a worker, the DAG is paused at once.
    """
    from workflow_core.api import PauseRequest
    from workflow_core.api.findings import checked
    from workflow_entrypoints.cli.output import print_answer, print_warnings
    from workflow_entrypoints.cli.session import get_api

    answer = get_api().pause(name, checked(PauseRequest, reason=reason))
    print_answer(answer, output)
    print_warnings(answer.warnings)


@app.command()
def unpause(name: Name, output: Output = Format.TABLE) -> None:
    """Unpause a workflow and continue its held runs."""
    from workflow_entrypoints.cli.output import print_answer, print_warnings
    from workflow_entrypoints.cli.session import get_api

    answer = get_api().unpause(name)
    print_answer(answer, output)
    print_warnings(answer.warnings)


@app.command(name="next")
def next_runs(
    name: Name,
    count: Annotated[int, typer.Option(min=1, max=500, help="Number of fire times.")] = 20,
    output: Output = Format.TABLE,
) -> None:
    """List the next fire times of a workflow.

    Times are shown in the time zone of the workflow and in UTC.

    Example: dli workflow next iceberg.analytics.daily_clicks --count 5
    """
    from workflow_core.api import NextRunsFilters
    from workflow_core.api.findings import checked
    from workflow_entrypoints.cli.output import print_answer, print_answers, print_warnings
    from workflow_entrypoints.cli.session import get_api

    answer = get_api().next_runs(name, checked(NextRunsFilters, count=count))
    if output is not Format.TABLE:
        print_answer(answer, output)
        return
    if answer.status != "active":
        print_warnings([f"The workflow is {answer.status}: its schedule does not fire until that changes."])
    zone = answer.schedule.timezone
    local = {} if zone == "UTC" else {"local": zone}
    columns = {**local, "at": "UTC", "daylight_saving": "CLOCKS"}
    print_answers(
        answer.next_runs,
        output,
        columns,
        total=len(answer.next_runs),
        drop=("daylight_saving",),
        empty="No fire times.",
    )


@app.command()
def revisions(name: Name, limit: Limit = 50, offset: Offset = 0, output: Output = Format.TABLE) -> None:
    """List the revisions of a workflow, latest first."""
    from workflow_core.api import RevisionFilters
    from workflow_core.api.findings import checked
    from workflow_entrypoints.cli.output import print_answers
    from workflow_entrypoints.cli.session import get_api

    page = get_api().revisions(name, checked(RevisionFilters, limit=limit, offset=offset))
    columns = {
        "revision": "REVISION",
        "created_at": "CREATED",
        "created_by": "BY",
        "current": "CURRENT",
        "served": "IN AIRFLOW",
        "restored_from": "RESTORED FROM",
    }
    print_answers(
        page.items, output, columns, total=page.total, drop=("restored_from", "created_by"), empty="No revisions."
    )


@app.command()
def diff(
    name: Name,
    number: Annotated[int, typer.Argument(metavar="REVISION", min=1, help="The number of a revision.")],
    against: Annotated[
        int | None, typer.Option(min=1, help="The revision to compare with; by default the previous one.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Show what a revision changed, as a unified diff.

    Example: dli workflow diff iceberg.analytics.daily_clicks 2
    """
    from workflow_core.api import DiffFilters
    from workflow_core.api.findings import checked
    from workflow_entrypoints.cli.output import print_answer, print_diff
    from workflow_entrypoints.cli.session import get_api

    answer = get_api().diff(name, number, checked(DiffFilters, against=against))
    if output is not Format.TABLE:
        print_answer(answer, output)
        return
    print_diff(answer.diff)


@app.command()
def restore(
    name: Name,
    number: Annotated[int, typer.Argument(metavar="REVISION", min=1, help="The number of a revision.")],
    if_match: IfMatch = None,
    output: Output = Format.TABLE,
) -> None:
    """Restore an earlier revision as the next one."""
    from workflow_entrypoints.cli.output import print_answer, print_warnings
    from workflow_entrypoints.cli.session import get_api

    answer = get_api().restore(name, number, if_match=if_match)
    print_answer(answer, output)
    print_warnings(answer.warnings)


@app.command()
def stop(
    run_id: RunId,
    reason: Annotated[str | None, typer.Option(help="The reason; shown with the status.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait until the run has stopped; exit code 1 if it ended otherwise.")
    ] = False,
    timeout: Timeout = None,
    output: Output = Format.TABLE,
) -> None:
    """Stop a run.

    Example: dli workflow stop iceberg.analytics.daily_clicks_20260102_060000 --reason "wrong input" --wait
    """
    from workflow_core.api import StopRequest
    from workflow_core.api.findings import checked
    from workflow_core.domain.run import RunStatus
    from workflow_core.errors import InvalidRequest
    from workflow_entrypoints.cli.output import print_answer
    from workflow_entrypoints.cli.session import get_api

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
        bool, typer.Option("--all", help="Retry every task, not only the failed and stopped ones.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait until the run has ended; exit code 1 if it fails.")
    ] = False,
    timeout: Timeout = None,
    output: Output = Format.TABLE,
) -> None:
    """Retry an ended run under its id.

    Example: dli workflow retry iceberg.analytics.daily_clicks_20260102_060000 --wait
    """
    from workflow_core.api import RetryRequest
    from workflow_core.domain.run import RunStatus
    from workflow_core.errors import InvalidRequest
    from workflow_entrypoints.cli import exit_codes
    from workflow_entrypoints.cli.output import print_answer
    from workflow_entrypoints.cli.session import get_api

    if timeout is not None and not wait:
        raise InvalidRequest("needs --wait", field="--timeout")
    api = get_api()
    answer = api.retry(run_id, RetryRequest(only_failed=not all_tasks))
    if wait:
        _follow(api, run_id, timeout, output)
        return
    print_answer(answer, output)
    if answer.status is RunStatus.FAILED:  # Airflow refused it
        raise typer.Exit(exit_codes.NOT_SUCCESSFUL)


@app.command()
def unregister(
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Stop active runs first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation on a terminal.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Unregister a workflow.

    The YAML is deleted and the name becomes free; the history stays.
    """
    from workflow_core.api import UnregisterFilters
    from workflow_entrypoints.cli.inputs import check_confirmed
    from workflow_entrypoints.cli.output import print_answer
    from workflow_entrypoints.cli.session import get_api

    api = get_api()
    if not yes:
        check_confirmed(f"Unregister {name} and delete its YAML?")
    print_answer(api.unregister(name, UnregisterFilters(force=force)), output)


app.command()(publish.sync)
app.command()(publish.validate)
