"""Builders of complete, valid entities, so that a test states only the values that matter to it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from workflow_core.domain.act import Action, AuditEntry
from workflow_core.domain.backfill import Backfill, OnFailure, Reprocess, Wanted, Wish, backfill_id_for, slot_run_id
from workflow_core.domain.caller import Caller, IdempotencyKey
from workflow_core.domain.names import run_id_for, uuid7
from workflow_core.domain.run import Run, RunStatus, RunType, Submission
from workflow_core.domain.schedule import Schedule
from workflow_core.domain.spec import SpecRules, WorkflowSpec, parse_spec
from workflow_core.domain.workflow import Phase, SourceType, Workflow

NAME: Final = "iceberg.analytics.daily_clicks"
AT: Final = datetime(2026, 1, 1, 10, 0, 0, 123456, tzinfo=UTC)
"""A moment with microseconds, so that a test detects their loss."""

YAML: Final = """\
# the clicks of each day
version: v1
name: {name}
owner: {owner}
team: "@data-eng"
description: Clicks per day, ünïcode 数据
schedule:
  cron: "0 6 * * *"
  timezone: America/New_York
start_date: 2026-01-01T00:00:00+01:00
params:
  region: EU
  limit: {{default: 10, enum: [10, 20]}}
tasks:
  - task_id: extract
    operator: bash
    bash_command: echo "{{{{ run_date() }}}}"
  - task_id: load
    operator: bash
    bash_command: echo done
    retries: 2
    dependencies: [extract]
"""


def a_workflow(dataset_name: str = NAME, *, yaml: str | None = None, **changes: Any) -> Workflow:
    """A registered and served workflow whose pause state Airflow has not confirmed. ``changes`` override its fields.

    Its spec is parsed from ``yaml``, by default one that uses every part of the format.
    """
    owner = changes.pop("owner", "data@example.com")
    text = yaml if yaml is not None else YAML.format(name=dataset_name, owner=owner)
    source = changes.get("source_type", SourceType.MANUAL)
    facts: dict[str, Any] = {
        "id": uuid7(AT),
        "dataset_name": dataset_name,
        "source_type": source,
        "spec": _parsed(text, dataset_name).model_copy(deep=True),
        "yaml": text,
        "s3_path": f"s3://data/workflows/{source.lower()}/{dataset_name}.yaml",
        "schedule": Schedule(cron="0 6 * * *", timezone="America/New_York"),
        "owner": owner,
        "registered_by": "user@example.com",
        "registered_at": AT,
        "updated_at": AT,
        "phase": Phase.SERVED,
    }
    return Workflow(**{**facts, **changes})


@lru_cache(maxsize=256)
def _parsed(text: str, dataset_name: str) -> WorkflowSpec:
    """The parsed spec. It is cached: parsing takes milliseconds, and suites build thousands of workflows."""
    return parse_spec(text, dataset_name=dataset_name, rules=SpecRules(operators=("*",)))


def a_run(workflow: Workflow, *, at: datetime = AT, nth: int = 1, **changes: Any) -> Run:
    """A run of ``workflow`` that was accepted at ``at``, as the ``nth`` of that second, and waits to be submitted.

    ``changes`` override its fields. By default Airflow's id of the run is the run id.
    """
    run_id = changes.pop("run_id", run_id_for(workflow.dataset_name, at, nth=nth))
    facts: dict[str, Any] = {
        "run_id": run_id,
        "airflow_run_id": run_id,
        "workflow_id": workflow.id,
        "dataset_name": workflow.dataset_name,
        "dag_id": workflow.dag_id,
        "run_type": RunType.MANUAL,
        "status": RunStatus.PENDING,
        "submission": Submission.WAITING,
        "triggered_by": "user@example.com",
        "params": {"date": "2026-01-01"},
        "run_date": date(2026, 1, 1),
        "accepted_at": at,
        "started_at": at,
    }
    return Run(**{**facts, **changes})


def a_backfill(workflow: Workflow, *, days: int = 3, nth: int = 1, **changes: Any) -> Backfill:
    """A parallel backfill of ``workflow`` for ``days`` days from 1 January 2026, accepted at :data:`AT`, with these ``changes``."""
    start = changes.pop("start_date", date(2026, 1, 1))
    end = start + timedelta(days=days - 1)
    wanted = changes.pop("wanted", Wanted.RUN)
    facts: dict[str, Any] = {
        "backfill_id": backfill_id_for(workflow.dataset_name, start, end, nth=nth),
        "workflow_id": workflow.id,
        "dataset_name": workflow.dataset_name,
        "start_date": start,
        "end_date": end,
        "params": {"region": "US"},
        "parallel": True,
        "max_active": 2,
        "reprocess": Reprocess.NONE,
        "run_backwards": False,
        "on_failure": OnFailure.CONTINUE,
        "created_by": "user@example.com",
        "created_at": AT,
        "wish": Wish(wanted=wanted, by="user@example.com", at=AT),
        "updated_at": AT,
    }
    return Backfill(**{**facts, **changes})


def slots_of(workflow: Workflow, backfill: Backfill, **changes: Any) -> list[Run]:
    """The runs of a backfill of ``workflow``, one for each date, none of them submitted. ``changes`` override fields of each."""
    days = (backfill.end_date - backfill.start_date).days + 1
    dates = [backfill.start_date + timedelta(days=n) for n in range(days)]
    return [
        a_run(
            workflow,
            **{
                "run_id": slot_run_id(backfill.backfill_id, day),
                "run_type": RunType.BACKFILL,
                "backfill_id": backfill.backfill_id,
                "run_date": day,
                "logical_date": datetime(day.year, day.month, day.day, 11, tzinfo=UTC),
                "params": {**backfill.params, "date": day.isoformat()},
                **changes,
            },
        )
        for day in dates
    ]


def an_act(
    key: str | None = "k", *, scope: str = "user@example.com", fingerprint: str = "f", **changes: Any
) -> AuditEntry:
    """The audit entry of a trigger by ``scope`` at :data:`AT`, with this idempotency key (None: without) and these ``changes``."""
    given = None if key is None else IdempotencyKey(text=key, fingerprint=fingerprint)
    caller = Caller(name=scope, key=given)
    facts: dict[str, Any] = {"action": Action.RUN, "at": AT, "dataset_name": NAME, "run_id": "r1"}
    return AuditEntry(caller=caller, **{**facts, **changes})
