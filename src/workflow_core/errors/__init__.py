"""Every error that this library raises: one root, and a stable code on each.

::

    WorkflowError
    ├── InvalidRequest                INVALID_REQUEST            the caller's input is wrong; nothing was changed
    │   ├── InvalidCronExpression     INVALID_CRON_EXPRESSION
    │   └── InvalidWorkflowSpec       INVALID_WORKFLOW_SPEC      the YAML; carries problems with line and column
    ├── NotFound
    │   ├── WorkflowNotFound          WORKFLOW_NOT_FOUND
    │   ├── RevisionNotFound          WORKFLOW_REVISION_NOT_FOUND
    │   ├── WorkflowRunNotFound       WORKFLOW_RUN_NOT_FOUND
    │   └── BackfillNotFound          BACKFILL_NOT_FOUND
    ├── Conflict
    │   ├── WorkflowAlreadyExists     WORKFLOW_ALREADY_EXISTS    the name, or its DAG id, is taken
    │   ├── WorkflowPaused            WORKFLOW_PAUSED
    │   ├── WorkflowNotRunnable       WORKFLOW_NOT_RUNNABLE      Airflow cannot build its DAG
    │   ├── WorkflowHasActiveRuns     WORKFLOW_HAS_ACTIVE_RUNS   it cannot be unregistered while it has runs
    │   ├── RevisionMismatch          WORKFLOW_REVISION_MISMATCH the current revision is not the expected one
    │   ├── RunNotActive              WORKFLOW_RUN_NOT_ACTIVE    the run has ended
    │   ├── RunNotRetryable           WORKFLOW_RUN_NOT_RETRYABLE it has not ended, or has nothing to run again
    │   ├── RunAlreadyExists          WORKFLOW_RUN_ALREADY_EXISTS
    │   ├── BackfillNotActive         BACKFILL_NOT_ACTIVE        it has ended, or is being stopped
    │   ├── BackfillAlreadyExists     BACKFILL_ALREADY_EXISTS
    │   ├── ConcurrentUpdate          CONCURRENT_UPDATE          the row changed since it was read
    │   │   └── LeaseLost             CONCURRENT_UPDATE          another worker has the lease
    │   ├── StorageConflict           STORAGE_CONFLICT           the object is not the expected one
    │   ├── KeyInUse                  IDEMPOTENCY_KEY_IN_USE     a request with this key is in progress
    │   └── KeyReused                 IDEMPOTENCY_KEY_REUSED     it was used for another request
    ├── WorkflowPermissionDenied      WORKFLOW_PERMISSION_DENIED
    ├── Unauthenticated               UNAUTHENTICATED            the caller is not authenticated
    ├── PermissionDenied              PERMISSION_DENIED          the caller may see it, and may not do it
    ├── TooManyRequests               TOO_MANY_REQUESTS          one caller has exceeded its rate
    ├── Unavailable                                              another system did not answer as expected
    │   ├── TooManyWaiting            TOO_MANY_WAITING           the maximum number of requests already waits
    │   ├── AirflowUnavailable        AIRFLOW_CONNECTION_FAILED  certainly nothing was done
    │   ├── AirflowOutcomeUnknown     AIRFLOW_OUTCOME_UNKNOWN    sent, but no usable response came
    │   ├── StorageUnavailable        STORAGE_UNAVAILABLE
    │   │   └── StorageRefused        STORAGE_REFUSED            it understood the request, and always refuses it
    │   ├── DatabaseUnavailable       DATABASE_UNAVAILABLE       certainly nothing was recorded
    │   │   └── DatabaseOutcomeUnknown DATABASE_OUTCOME_UNKNOWN  the connection broke while it was being recorded
    │   ├── IdentityProviderUnavailable IDENTITY_PROVIDER_UNAVAILABLE  no caller can be authenticated
    │   ├── ServerUnavailable         SERVER_UNAVAILABLE         this service, over HTTP; nothing was done
    │   └── ServerOutcomeUnknown      SERVER_OUTCOME_UNKNOWN     sent to it, but no usable response came
    ├── AirflowRefused                AIRFLOW_REQUEST_REFUSED    Airflow understood and refused
    │   ├── DagNotFound               AIRFLOW_DAG_NOT_FOUND      not parsed yet, or stale
    │   ├── LogicalDateTaken          AIRFLOW_LOGICAL_DATE_TAKEN
    │   └── LoaderNotInstalled        AIRFLOW_LOADER_NOT_INSTALLED
    └── ConfigurationError            INVALID_CONFIGURATION

HTTP statuses and exit codes are not defined here: each entrypoint maps them, in one place.
"""

from workflow_core.errors.base import Problem, WorkflowError, error_of
from workflow_core.errors.conflicts import (
    BackfillAlreadyExists,
    BackfillNotActive,
    ConcurrentUpdate,
    Conflict,
    KeyInUse,
    KeyReused,
    LeaseLost,
    RevisionMismatch,
    RunAlreadyExists,
    RunNotActive,
    RunNotRetryable,
    StorageConflict,
    WorkflowAlreadyExists,
    WorkflowHasActiveRuns,
    WorkflowNotRunnable,
    WorkflowPaused,
)
from workflow_core.errors.requests import (
    BackfillNotFound,
    ConfigurationError,
    InvalidCronExpression,
    InvalidRequest,
    InvalidWorkflowSpec,
    NotFound,
    PermissionDenied,
    RevisionNotFound,
    TooManyRequests,
    Unauthenticated,
    WorkflowNotFound,
    WorkflowPermissionDenied,
    WorkflowRunNotFound,
)
from workflow_core.errors.systems import (
    AirflowOutcomeUnknown,
    AirflowRefused,
    AirflowUnavailable,
    DagNotFound,
    DatabaseOutcomeUnknown,
    DatabaseUnavailable,
    IdentityProviderUnavailable,
    LoaderNotInstalled,
    LogicalDateTaken,
    ServerOutcomeUnknown,
    ServerUnavailable,
    StorageRefused,
    StorageUnavailable,
    TooManyWaiting,
    Unavailable,
)

__all__ = [
    "AirflowOutcomeUnknown",
    "AirflowRefused",
    "AirflowUnavailable",
    "BackfillAlreadyExists",
    "BackfillNotActive",
    "BackfillNotFound",
    "ConcurrentUpdate",
    "ConfigurationError",
    "Conflict",
    "DagNotFound",
    "DatabaseOutcomeUnknown",
    "DatabaseUnavailable",
    "IdentityProviderUnavailable",
    "InvalidCronExpression",
    "InvalidRequest",
    "InvalidWorkflowSpec",
    "KeyInUse",
    "KeyReused",
    "LeaseLost",
    "LoaderNotInstalled",
    "LogicalDateTaken",
    "NotFound",
    "PermissionDenied",
    "Problem",
    "RevisionMismatch",
    "RevisionNotFound",
    "RunAlreadyExists",
    "RunNotActive",
    "RunNotRetryable",
    "ServerOutcomeUnknown",
    "ServerUnavailable",
    "StorageConflict",
    "StorageRefused",
    "StorageUnavailable",
    "TooManyRequests",
    "TooManyWaiting",
    "Unauthenticated",
    "Unavailable",
    "WorkflowAlreadyExists",
    "WorkflowError",
    "WorkflowHasActiveRuns",
    "WorkflowNotFound",
    "WorkflowNotRunnable",
    "WorkflowPaused",
    "WorkflowPermissionDenied",
    "WorkflowRunNotFound",
    "error_of",
]
