"""Errors of requests that are well formed but not possible in the current state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_core.errors.base import WorkflowError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Conflict(WorkflowError):
    """The request is well formed, but the current state does not allow it."""


class WorkflowAlreadyExists(Conflict):
    """The dataset name, or the DAG id derived from it, belongs to a live workflow."""

    code = "WORKFLOW_ALREADY_EXISTS"

    def __init__(self, dataset_name: str, *, holder: str | None = None, dag_id: str | None = None) -> None:
        if holder is None or holder == dataset_name:
            message = f"Workflow {dataset_name!r} already exists. Use force to make this its next revision."
        else:
            message = (
                f"Workflow {dataset_name!r} would have the Airflow DAG id {dag_id!r}, which workflow {holder!r} holds."
                " Choose a name that differs in more than punctuation."
            )
        super().__init__(message)


class WorkflowPaused(Conflict):
    """A run was requested while the workflow is paused; Airflow would leave it queued."""

    code = "WORKFLOW_PAUSED"

    def __init__(self, dataset_name: str) -> None:
        super().__init__(f"Workflow {dataset_name!r} is paused. Unpause it first: a run would only wait.")


class WorkflowNotRunnable(Conflict):
    """Airflow cannot build the DAG of this workflow."""

    code = "WORKFLOW_NOT_RUNNABLE"

    def __init__(self, dataset_name: str, reason: str) -> None:
        super().__init__(f"Airflow cannot build the DAG of workflow {dataset_name!r}: {reason}")


class WorkflowHasActiveRuns(Conflict):
    """The workflow has runs that have not ended."""

    code = "WORKFLOW_HAS_ACTIVE_RUNS"

    def __init__(self, dataset_name: str, run_ids: Sequence[str]) -> None:
        runs, remedy = f"{len(run_ids)} runs that have not ended, such as", "Stop them"
        if len(run_ids) == 1:
            runs, remedy = "a run that has not ended:", "Stop it"
        super().__init__(f"Workflow {dataset_name!r} has {runs} {run_ids[0]!r}. {remedy} first, or use force.")


class RevisionMismatch(Conflict):
    """The workflow has been changed since the caller read it."""

    code = "WORKFLOW_REVISION_MISMATCH"

    def __init__(self, dataset_name: str, expected: int, current: int) -> None:
        super().__init__(
            f"Workflow {dataset_name!r} is at revision {current}, not {expected}. Read it again before you change it."
        )


class RunNotActive(Conflict):
    """The run has ended: there is nothing to stop."""

    code = "WORKFLOW_RUN_NOT_ACTIVE"

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(f"Run {run_id!r} has ended: {status}.")


class RunNotRetryable(Conflict):
    """The run cannot run again."""

    code = "WORKFLOW_RUN_NOT_RETRYABLE"

    def __init__(self, run_id: str, why: str) -> None:
        super().__init__(f"Run {run_id!r} cannot be run again: {why}.")


class RunAlreadyExists(Conflict):
    """The run id is taken."""

    code = "WORKFLOW_RUN_ALREADY_EXISTS"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"Run {run_id!r} already exists.")


class BackfillNotActive(Conflict):
    """The backfill has ended, or is being stopped: it can no longer be changed."""

    code = "BACKFILL_NOT_ACTIVE"

    def __init__(self, backfill_id: str, status: str) -> None:
        super().__init__(f"Backfill {backfill_id!r} can no longer be changed: it is {status}.")


class BackfillAlreadyExists(Conflict):
    """The backfill id is taken."""

    code = "BACKFILL_ALREADY_EXISTS"

    def __init__(self, backfill_id: str) -> None:
        super().__init__(f"Backfill {backfill_id!r} already exists.")


class ConcurrentUpdate(Conflict):
    """Another request or worker has changed the entity since it was read: read it again and decide anew."""

    code = "CONCURRENT_UPDATE"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was changed at the same time by another request. Read it again.")


class LeaseLost(ConcurrentUpdate):
    """Another worker has acquired the lease: nothing was written."""

    def __init__(self, lease_key: str) -> None:
        super().__init__(f"The lease of {lease_key!r}")


class StorageConflict(Conflict):
    """A conditional write met an object other than the expected one."""

    code = "STORAGE_CONFLICT"

    def __init__(self, url: str) -> None:
        super().__init__(f"The stored object {url} is not the expected one.")


class KeyInUse(Conflict):
    """An earlier request with this idempotency key has not been answered yet: send it again, with the same key."""

    code = "IDEMPOTENCY_KEY_IN_USE"

    def __init__(self, key: str) -> None:
        super().__init__(f"A request with the Idempotency-Key {key!r} is still in progress. Send it again in a second.")


class KeyReused(Conflict):
    """The idempotency key was used for another request; nothing was done."""

    code = "IDEMPOTENCY_KEY_REUSED"

    def __init__(self, key: str) -> None:
        super().__init__(f"The Idempotency-Key {key!r} was sent with another request before. Use a new key for each.")
