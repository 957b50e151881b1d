"""The facts of a workflow, run, backfill or token in an audit entry, as JSON of bounded size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from workflow_core.domain.grants import plain_grant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.run import Run
    from workflow_core.domain.token import Token
    from workflow_core.domain.workflow import Workflow

MAX_FACT: Final = 1000
"""The maximum number of characters of one fact as JSON; a longer fact is truncated to text."""

Facts = dict[str, Any]


def facts_of_workflow(workflow: Workflow) -> Facts:
    """Return the facts that callers decide about a workflow. Its YAML is stored with each revision."""
    return {
        "status": workflow.status.value,
        "phase": workflow.phase.value,
        "phase_reason": workflow.phase_reason,
        "pause_reason": workflow.pause.reason if workflow.pause else None,
        "source_type": workflow.source_type.value,
        "owner": workflow.owner,
        "cron": workflow.schedule.cron,
        "timezone": workflow.schedule.timezone,
        "revision": workflow.revision,
        "spec_hash": workflow.spec_hash,
    }


def facts_of_run(run: Run) -> Facts:
    """Return the facts that callers decide about a run."""
    return {
        "status": run.status.value,
        "params": dict(run.params),
        "stop_reason": run.stop.reason if run.stop else None,
        "retries": run.retry.number if run.retry else None,
        "tasks": list(run.retry.tasks) if run.retry else None,
    }


def facts_of_token(token: Token) -> Facts:
    """Return the facts that callers decide about an API token, without its secret."""
    return {
        "name": token.name,
        "grants": list(map(plain_grant, token.grants)),
        "expires_at": None if token.expires_at is None else token.expires_at.isoformat(),
        "revoked": token.revoked_at is not None,
    }


def facts_of_backfill(backfill: Backfill) -> Facts:
    """Return the facts that callers decide about a backfill."""
    return {
        "wanted": backfill.desired_state.value,
        "reason": backfill.state_request.reason,
        "start_date": backfill.start_date.isoformat(),
        "end_date": backfill.end_date.isoformat(),
        "params": dict(backfill.params),
        "max_active": backfill.max_active,
        "reprocess": backfill.reprocess.value,
        "run_backwards": backfill.run_backwards,
        "on_failure": backfill.on_failure.value,
    }


def difference(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> tuple[Facts | None, Facts | None]:
    """Return the changed facts before and after a change; for a new item, None and all its facts; without a change, None twice."""
    if before is None:
        return None, {name: bounded(value) for name, value in after.items() if value is not None}
    changed = [name for name in after if before[name] != after[name]]
    if not changed:
        return None, None
    return {name: bounded(before[name]) for name in changed}, {name: bounded(after[name]) for name in changed}


def bounded(value: Any) -> Any:
    """Return the value, or the beginning of its JSON if that is too long."""
    text = json.dumps(value, ensure_ascii=False)
    return value if len(text) <= MAX_FACT else f"{text[:MAX_FACT]}… ({len(text)} characters)"
