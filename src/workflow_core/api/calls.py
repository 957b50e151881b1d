"""The table of calls: one row for each method of :class:`~workflow_core.api.WorkflowApi` (docs/adr/0038).

The HTTP routes, the OpenAPI document, the remote client, the authorization check and their tests are made from these
rows.
"""

from __future__ import annotations

from typing import Any, Final

from workflow_core.api.audit import AuditFilters, AuditItem
from workflow_core.api.backfill import (
    BackfillAnswer,
    BackfillFilters,
    BackfillItem,
    BackfillReasonRequest,
    BackfillRequest,
    BackfillStatusAnswer,
)
from workflow_core.api.call import Call, NoFields, Subject
from workflow_core.api.explain import ExplainAnswer
from workflow_core.api.forecast import NextRunsAnswer, NextRunsFilters, ValidateAnswer
from workflow_core.api.health import HealthAnswer
from workflow_core.api.listing import HistoryFilters, Listing, WorkflowFilters
from workflow_core.api.revision import DiffAnswer, DiffFilters, RevisionFilters, RevisionItem
from workflow_core.api.run import (
    HistoryItem,
    RetryAnswer,
    RetryRequest,
    RunAcceptedAnswer,
    RunFilters,
    RunRequest,
    RunStatusAnswer,
    StopAnswer,
    StopRequest,
)
from workflow_core.api.sync import SyncAnswer, SyncRequest
from workflow_core.api.whoami import WhoamiAnswer
from workflow_core.api.workflow import (
    PauseAnswer,
    PauseRequest,
    RegisterAnswer,
    RegisterRequest,
    UnregisterAnswer,
    UnregisterFilters,
    WorkflowDetailAnswer,
    WorkflowItem,
)
from workflow_core.domain.authorization import Verb
from workflow_core.errors import (
    AirflowUnavailable,
    BackfillNotActive,
    BackfillNotFound,
    ConcurrentUpdate,
    InvalidCronExpression,
    InvalidWorkflowSpec,
    LoaderNotInstalled,
    RevisionMismatch,
    RevisionNotFound,
    RunNotActive,
    RunNotRetryable,
    StorageRefused,
    StorageUnavailable,
    TooManyWaiting,
    WorkflowAlreadyExists,
    WorkflowHasActiveRuns,
    WorkflowNotFound,
    WorkflowNotRunnable,
    WorkflowPaused,
    WorkflowPermissionDenied,
    WorkflowRunNotFound,
)

WORKFLOWS_TAG: Final = "Workflows"
RUNS_TAG: Final = "Runs"
BACKFILLS_TAG: Final = "Backfills"
AUDIT_TAG: Final = "Audit"
CALLER_TAG: Final = "Caller"
HEALTH_TAG: Final = "Health"

_WORKFLOWS: Final = "/api/v1/workflows"
_WORKFLOW: Final = f"{_WORKFLOWS}/{{dataset_name}}"
_RUN: Final = f"{_WORKFLOWS}/runs/{{run_id}}"
_BACKFILL: Final = f"{_WORKFLOWS}/backfills/{{backfill_id}}"

_STORED: Final = (AirflowUnavailable, LoaderNotInstalled, StorageUnavailable, StorageRefused)
_CONTROLLED: Final = (BackfillNotFound, BackfillNotActive, WorkflowPermissionDenied)

# One group of fields a line, as in a table: identity, route and authorization, models and status, flags, text, errors.
# fmt: off
REGISTER: Final = Call(
    name="register", operation_id="registerWorkflow", tag=WORKFLOWS_TAG,
    method="POST", path=f"{_WORKFLOWS}/register", verb=Verb.REGISTER, subject=Subject.BODY,
    body=RegisterRequest, answer=RegisterAnswer, status=201, conditional=True,
    summary="Register a workflow",
    description="Store the YAML and wait a few seconds until Airflow serves its DAG. An existing workflow gets its"
    " next revision with `force` or `If-Match`.",
    errors=(
        WorkflowNotFound, RevisionMismatch, InvalidCronExpression, InvalidWorkflowSpec, WorkflowPermissionDenied,
        WorkflowAlreadyExists, ConcurrentUpdate, *_STORED,
    ),
)
RUN: Final = Call(
    name="run", operation_id="runWorkflow", tag=RUNS_TAG,
    method="POST", path=f"{_WORKFLOW}/run", verb=Verb.RUN, subject=Subject.WORKFLOW,
    body=RunRequest, body_optional=True, answer=RunAcceptedAnswer, status=202,
    summary="Start a run",
    description="Accept a run and submit it to Airflow. Poll its state under its `run_id`.",
    errors=(WorkflowNotFound, WorkflowPaused, WorkflowNotRunnable, WorkflowPermissionDenied, AirflowUnavailable),
)
STATUS: Final = Call(
    name="status", operation_id="getRun", tag=RUNS_TAG,
    method="GET", path=_RUN, verb=Verb.VIEW, subject=Subject.RUN,
    body=NoFields, filters=RunFilters, answer=RunStatusAnswer, waits=True,
    summary="Show the current state of a run",
    description="The state that the worker mirrored last, or else the state in Airflow now; `stale` if Airflow does"
    " not answer. With `wait`, the answer comes as soon as the run changes, or differs from the answer whose ETag is"
    " sent as `If-None-Match`. The ETag is weak: it does not change when only `duration_seconds` grows.",
    errors=(WorkflowRunNotFound, TooManyWaiting),
)
WORKFLOWS: Final = Call(
    name="workflows", operation_id="listWorkflows", tag=WORKFLOWS_TAG,
    method="GET", path=_WORKFLOWS, verb=Verb.VIEW, subject=Subject.LIST,
    body=NoFields, filters=WorkflowFilters, answer=Listing[WorkflowItem],
    summary="List workflows by name",
    description="Each registered workflow with its last and next run.",
)
HISTORY: Final = Call(
    name="history", operation_id="listRuns", tag=RUNS_TAG,
    method="GET", path=f"{_WORKFLOWS}/history", verb=Verb.VIEW, subject=Subject.LIST,
    body=NoFields, filters=HistoryFilters, answer=Listing[HistoryItem],
    summary="List runs, latest first",
    description="Runs of every kind: started here, by the schedule, or in Airflow's UI.",
)
PAUSE: Final = Call(
    name="pause", operation_id="pauseWorkflow", tag=WORKFLOWS_TAG,
    method="POST", path=f"{_WORKFLOW}/pause", verb=Verb.PAUSE, subject=Subject.WORKFLOW,
    body=PauseRequest, body_optional=True, answer=PauseAnswer,
    summary="Pause a workflow",
    description="New runs are refused and the schedule stops. Active runs may end: the DAG in Airflow is paused after"
    " them, at the latest shortly before the schedule fires next. Runs that have not started by then wait until the"
    " workflow is unpaused; `warnings` and the condition `pause_pending` or `runs_held` report this. A workflow that"
    " is already paused keeps its first reason.",
    errors=(WorkflowNotFound, AirflowUnavailable),
)
UNPAUSE: Final = Call(
    name="unpause", operation_id="unpauseWorkflow", tag=WORKFLOWS_TAG,
    method="POST", path=f"{_WORKFLOW}/unpause", verb=Verb.PAUSE, subject=Subject.WORKFLOW,
    body=NoFields, body_optional=True, answer=PauseAnswer,
    summary="Unpause a workflow",
    description="Its schedule fires again, and held runs continue. Nothing changes if the workflow is not paused.",
    errors=(WorkflowNotFound, AirflowUnavailable),
)
WORKFLOW: Final = Call(
    name="workflow", operation_id="getWorkflow", tag=WORKFLOWS_TAG,
    method="GET", path=_WORKFLOW, verb=Verb.VIEW, subject=Subject.WORKFLOW,
    body=NoFields, answer=WorkflowDetailAnswer, revisioned=True,
    summary="Show a workflow with its spec",
    description="The item of the list, the YAML, and how far Airflow has followed.",
    errors=(WorkflowNotFound,),
)
REVISIONS: Final = Call(
    name="revisions", operation_id="listRevisions", tag=WORKFLOWS_TAG,
    method="GET", path=f"{_WORKFLOW}/revisions", verb=Verb.VIEW, subject=Subject.WORKFLOW,
    body=NoFields, filters=RevisionFilters, answer=Listing[RevisionItem],
    summary="List the revisions of a workflow, latest first",
    description="Every accepted spec: who registered it, when, and which revision Airflow serves.",
    errors=(WorkflowNotFound,),
)
DIFF: Final = Call(
    name="diff", operation_id="diffRevision", tag=WORKFLOWS_TAG,
    method="GET", path=f"{_WORKFLOW}/revisions/{{number}}/diff", verb=Verb.VIEW, subject=Subject.WORKFLOW,
    body=NoFields, filters=DiffFilters, answer=DiffAnswer,
    summary="Show the changes of a revision",
    description="A unified diff against the previous revision, or against another.",
    errors=(WorkflowNotFound, RevisionNotFound),
)
RESTORE: Final = Call(
    name="restore", operation_id="restoreRevision", tag=WORKFLOWS_TAG,
    method="POST", path=f"{_WORKFLOW}/revisions/{{number}}/restore", verb=Verb.REGISTER, subject=Subject.WORKFLOW,
    body=NoFields, body_optional=True, answer=RegisterAnswer, conditional=True,
    summary="Restore an earlier revision",
    description="Register its spec again, as the next revision: nothing of the history is lost.",
    errors=(
        InvalidWorkflowSpec, WorkflowNotFound, RevisionNotFound, RevisionMismatch, WorkflowPermissionDenied,
        ConcurrentUpdate, *_STORED,
    ),
)
STOP: Final = Call(
    name="stop", operation_id="stopRun", tag=RUNS_TAG,
    method="POST", path=f"{_RUN}/stop", verb=Verb.STOP, subject=Subject.RUN,
    body=StopRequest, body_optional=True, answer=StopAnswer,
    summary="Stop a run",
    description="The run is STOPPING at once, and STOPPED when all of its tasks have ended. A run that ends first"
    " keeps its result.",
    errors=(WorkflowRunNotFound, RunNotActive, WorkflowPermissionDenied, AirflowUnavailable),
)
RETRY: Final = Call(
    name="retry", operation_id="retryRun", tag=RUNS_TAG,
    method="POST", path=f"{_RUN}/retry", verb=Verb.RETRY, subject=Subject.RUN,
    body=RetryRequest, body_optional=True, answer=RetryAnswer, status=202,
    summary="Retry a run that has ended",
    description="The failed tasks, or all tasks, run again under the same id. The run is PENDING again, and has no"
    " end.",
    errors=(
        WorkflowRunNotFound, WorkflowNotFound, RunNotRetryable, WorkflowPaused, WorkflowNotRunnable,
        WorkflowPermissionDenied, AirflowUnavailable,
    ),
)
NEXT_RUNS: Final = Call(
    name="next_runs", operation_id="listNextRuns", tag=WORKFLOWS_TAG,
    method="GET", path=f"{_WORKFLOW}/next-runs", verb=Verb.VIEW, subject=Subject.WORKFLOW,
    body=NoFields, filters=NextRunsFilters, answer=NextRunsAnswer,
    summary="List the next fire times of a workflow",
    description="In UTC and in its time zone. Fire times that a clock change moves or repeats are marked.",
    errors=(WorkflowNotFound,),
)
VALIDATE: Final = Call(
    name="validate", operation_id="validateWorkflow", tag=WORKFLOWS_TAG,
    method="POST", path=f"{_WORKFLOWS}/validate", verb=Verb.VALIDATE, subject=Subject.SOMEWHERE,
    body=RegisterRequest, answer=ValidateAnswer, asks=True,
    summary="Validate a spec without registering it",
    description="Every finding about the YAML, the differences from the registered workflow, and the next fire times"
    " by both schedules. Nothing is stored, and Airflow is not asked.",
    errors=(WorkflowPermissionDenied,),
)
EXPLAIN_WORKFLOW: Final = Call(
    name="explain_workflow", operation_id="explainWorkflow", tag=WORKFLOWS_TAG,
    method="GET", path=f"{_WORKFLOW}/explain", verb=Verb.VIEW, subject=Subject.WORKFLOW,
    body=NoFields, answer=ExplainAnswer,
    summary="Explain why a workflow does not run",
    description="In words, the most important reason first. Airflow is asked now.",
    errors=(WorkflowNotFound,),
)
EXPLAIN_RUN: Final = Call(
    name="explain_run", operation_id="explainRun", tag=RUNS_TAG,
    method="GET", path=f"{_RUN}/explain", verb=Verb.VIEW, subject=Subject.RUN,
    body=NoFields, answer=ExplainAnswer,
    summary="Explain why a run makes no progress",
    description="In words, the most important reason first. Airflow is asked now.",
    errors=(WorkflowRunNotFound,),
)
UNREGISTER: Final = Call(
    name="unregister", operation_id="unregisterWorkflow", tag=WORKFLOWS_TAG,
    method="DELETE", path=_WORKFLOW, verb=Verb.UNREGISTER, subject=Subject.WORKFLOW,
    body=NoFields, filters=UnregisterFilters, answer=UnregisterAnswer,
    summary="Unregister a workflow",
    description="Its YAML is deleted and its DAG is removed from Airflow. Its name is free again, and its history"
    " stays.",
    errors=(
        WorkflowNotFound, WorkflowPermissionDenied, WorkflowHasActiveRuns, AirflowUnavailable, StorageUnavailable,
        StorageRefused,
    ),
)
SYNC: Final = Call(
    name="sync", operation_id="syncWorkflows", tag=WORKFLOWS_TAG,
    method="POST", path=f"{_WORKFLOWS}/sync", verb=Verb.SYNC, subject=Subject.EVERYWHERE,
    body=SyncRequest, body_optional=True, answer=SyncAnswer,
    summary="Sync CODE workflows from the object store",
    description="Do at once what the worker does every WORKFLOWS_SYNC_INTERVAL seconds, and report the changes.",
    errors=(StorageUnavailable, StorageRefused),
)
BACKFILL: Final = Call(
    name="backfill", operation_id="backfillWorkflow", tag=BACKFILLS_TAG,
    method="POST", path=f"{_WORKFLOW}/backfill", verb=Verb.BACKFILL, subject=Subject.WORKFLOW,
    body=BackfillRequest, answer=BackfillAnswer, status=202,
    summary="Run a workflow for each date of a range",
    description="Accept one run for each date and submit the first of them. The service submits the others.",
    errors=(WorkflowNotFound, WorkflowPaused, WorkflowNotRunnable, WorkflowPermissionDenied, AirflowUnavailable),
)
BACKFILLS: Final = Call(
    name="backfills", operation_id="listBackfills", tag=BACKFILLS_TAG,
    method="GET", path=f"{_WORKFLOW}/backfills", verb=Verb.VIEW, subject=Subject.LIST,
    body=NoFields, filters=BackfillFilters, answer=Listing[BackfillItem],
    summary="List the backfills of a workflow, latest first",
    description="The backfills of an unregistered workflow stay in the list.",
    errors=(WorkflowNotFound,),
)
BACKFILL_STATUS: Final = Call(
    name="backfill_status", operation_id="getBackfill", tag=BACKFILLS_TAG,
    method="GET", path=_BACKFILL, verb=Verb.VIEW, subject=Subject.BACKFILL,
    body=NoFields, answer=BackfillStatusAnswer,
    summary="Show a backfill with each of its dates",
    description="The status of each run, the number of runs of each status, and the estimated end.",
    errors=(BackfillNotFound,),
)
PAUSE_BACKFILL: Final = Call(
    name="pause_backfill", operation_id="pauseBackfill", tag=BACKFILLS_TAG,
    method="POST", path=f"{_BACKFILL}/pause", verb=Verb.BACKFILL, subject=Subject.BACKFILL,
    body=BackfillReasonRequest, body_optional=True, answer=BackfillItem,
    summary="Pause a backfill",
    description="No further runs are submitted, and active runs continue. A backfill that is already paused keeps its"
    " first reason.",
    errors=_CONTROLLED,
)
RESUME_BACKFILL: Final = Call(
    name="resume_backfill", operation_id="resumeBackfill", tag=BACKFILLS_TAG,
    method="POST", path=f"{_BACKFILL}/resume", verb=Verb.BACKFILL, subject=Subject.BACKFILL,
    body=NoFields, body_optional=True, answer=BackfillItem,
    summary="Resume a backfill",
    description="Resume, accepting the failures so far. Nothing changes if the backfill is not paused.",
    errors=(*_CONTROLLED, WorkflowNotFound, WorkflowPaused, WorkflowNotRunnable),
)
STOP_BACKFILL: Final = Call(
    name="stop_backfill", operation_id="stopBackfill", tag=BACKFILLS_TAG,
    method="POST", path=f"{_BACKFILL}/stop", verb=Verb.BACKFILL, subject=Subject.BACKFILL,
    body=BackfillReasonRequest, body_optional=True, answer=BackfillItem,
    summary="Stop a backfill",
    description="Runs that were not submitted are cancelled, and active runs are stopped. It is STOPPED when all of"
    " them have ended.",
    errors=_CONTROLLED,
)
AUDIT: Final = Call(
    name="audit", operation_id="listAudit", tag=AUDIT_TAG,
    method="GET", path="/api/v1/audit", verb=Verb.VIEW, subject=Subject.LIST,
    body=NoFields, filters=AuditFilters, answer=Listing[AuditItem],
    summary="List accepted changes, latest first",
    description="Every change that was accepted: by whom, when, from where, and its content. Entries are written once"
    " and never changed.",
)
WHOAMI: Final = Call(
    name="whoami", operation_id="getCaller", tag=CALLER_TAG,
    method="GET", path="/api/v1/whoami",
    body=NoFields, answer=WhoamiAnswer,
    summary="Show the authenticated caller",
    description="The name under which this service records the caller's changes, and the caller's grants.",
)
HEALTH: Final = Call(
    name="health", operation_id="getDependencies", tag=HEALTH_TAG,
    method="GET", path="/dependencies",
    body=NoFields, filters=None, answer=HealthAnswer, other_answers={503: HealthAnswer}, public=True,
    summary="Check the systems that this service depends on",
    description="Checks the database, the object store and Airflow now, and when a worker was last active. 200 if all"
    " of them work, else 503 with the same body. Use it for alerts, never for a probe that restarts or drains: an"
    " outage of Airflow concerns every replica. Answers without credentials; where callers are authenticated, the"
    " details go to the log.",
)
# fmt: on

CALLS: Final[dict[str, Call[Any, Any]]] = {row.name: row for row in tuple(globals().values()) if isinstance(row, Call)}
"""Every row above, by the name of its method, in the order of the OpenAPI document."""
