"""``dli audit``: the audit entries."""

from __future__ import annotations

from typing import Annotated

import typer

from workflow_entrypoints.cli import choices
from workflow_entrypoints.cli.output import Format


def audit(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Only changes of this workflow.", autocompletion=choices.complete_name),
    ] = None,
    action: Annotated[
        choices.Action | None, typer.Option("--action", case_sensitive=False, help="Only changes of this kind.")
    ] = None,
    who: Annotated[str | None, typer.Option("--who", help="Only changes by this caller.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="From this date or time: 2026-01-31 or 2026-01-31T10:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Before this date or time.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="Maximum number of items, 1 to 500.")] = 50,
    offset: Annotated[int, typer.Option("--offset", help="Number of items to skip.")] = 0,
    output: Annotated[Format, typer.Option("--output", "-o", help="Output format.")] = Format.TABLE,
) -> None:
    """List accepted changes, latest first.

    Each entry has its caller, workflow, time and address.

    Example: dli audit iceberg.analytics.daily_clicks --since 2026-01-01
    """
    from workflow_core.api import AuditFilters
    from workflow_core.api.findings import checked
    from workflow_entrypoints.cli.output import print_answers
    from workflow_entrypoints.cli.session import get_api

    filters = checked(
        AuditFilters,
        dataset_name=name,
        action=action,
        who=who,
        since=since,
        until=until,
        limit=limit,
        offset=offset,
    )
    page = get_api().audit(filters)
    columns = {
        "at": "AT",
        "who": "WHO",
        "action": "ACTION",
        "dataset_name": "WORKFLOW",
        "run_id": "RUN",
        "backfill_id": "BACKFILL",
        "via": "VIA",
        "address": "FROM",
        "after": "CHANGED",
    }
    drop = ("after", "address", "backfill_id", "via", "run_id")
    print_answers(page.items, output, columns, total=page.total, drop=drop, empty="No changes.")
