"""Every error this library raises, one root and a stable code on each.

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
    │   ├── WorkflowHasActiveRuns     WORKFLOW_HAS_ACTIVE_RUNS   it is not unregistered while something of it runs
    │   ├── RevisionMismatch          WORKFLOW_REVISION_MISMATCH another revision is current than the one that was expected
    │   ├── RunNotActive              WORKFLOW_RUN_NOT_ACTIVE    the run has ended
    │   ├── RunNotRetryable           WORKFLOW_RUN_NOT_RETRYABLE it has not ended, or there is nothing of it to run again
    │   ├── RunAlreadyExists          WORKFLOW_RUN_ALREADY_EXISTS
    │   ├── BackfillNotActive         BACKFILL_NOT_ACTIVE        every run of it has ended, or is being stopped
    │   ├── BackfillAlreadyExists     BACKFILL_ALREADY_EXISTS
    │   ├── ConcurrentUpdate          CONCURRENT_UPDATE          the row changed since it was read
    │   ├── StorageConflict           STORAGE_CONFLICT           the object is not the one that was expected
    │   ├── KeyInUse                  IDEMPOTENCY_KEY_IN_USE     a request with this key is under way
    │   └── KeyReused                 IDEMPOTENCY_KEY_REUSED     it came with another request before
    ├── WorkflowPermissionDenied      WORKFLOW_PERMISSION_DENIED
    ├── Unauthenticated               UNAUTHENTICATED            nobody that we know asks
    ├── PermissionDenied              PERMISSION_DENIED          who asks may see it, and may not do it
    ├── TooManyRequests               TOO_MANY_REQUESTS          one caller has asked too often
    ├── Unavailable                                              another system did not answer as it should
    │   ├── AirflowUnavailable        AIRFLOW_CONNECTION_FAILED  certainly nothing was done
    │   ├── AirflowOutcomeUnknown     AIRFLOW_OUTCOME_UNKNOWN    sent, but the answer never came
    │   ├── StorageUnavailable        STORAGE_UNAVAILABLE
    │   │   └── StorageRefused        STORAGE_REFUSED            it understood the request, and will always say no
    │   ├── DatabaseUnavailable       DATABASE_UNAVAILABLE       certainly nothing was recorded
    │   │   └── DatabaseOutcomeUnknown DATABASE_OUTCOME_UNKNOWN  the connection broke while it was being recorded
    │   ├── IdentityProviderUnavailable IDENTITY_PROVIDER_UNAVAILABLE  nobody can say who asks
    │   ├── ServerUnavailable         SERVER_UNAVAILABLE         our own service, asked over HTTP; nothing was done
    │   └── ServerOutcomeUnknown      SERVER_OUTCOME_UNKNOWN     sent to it, but the answer never came
    ├── AirflowRefused                AIRFLOW_REQUEST_REFUSED    Airflow understood and said no
    │   ├── DagNotFound               AIRFLOW_DAG_NOT_FOUND      not parsed yet, or stale
    │   ├── LogicalDateTaken          AIRFLOW_LOGICAL_DATE_TAKEN
    │   └── LoaderNotInstalled        AIRFLOW_LOADER_NOT_INSTALLED
    └── ConfigurationError            INVALID_CONFIGURATION

No HTTP status and no exit code stand here: each entrypoint decides those, in one place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence


@frozen(kw_only=True)
class Problem:
    """One thing that is wrong with an input.

    ``field`` is a dotted path (``schedule.cron``, ``tasks[2].operator``) or None for the input as a whole.
    ``line`` and ``column`` count from 1 and are set where the input is a text, such as the YAML.
    """

    message: str
    field: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}, column {self.column}: " if self.line is not None else ""
        name = f"{self.field}: " if self.field else ""
        return f"{where}{name}{self.message}"


class WorkflowError(Exception):
    """The root. ``code`` is stable: programs may switch on it. ``message`` is for people."""

    code: str = "INTERNAL_ERROR"
    hides: bool = False
    """Said in the place of a refusal, to somebody who may not know of what it is about."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self._problems: tuple[Problem, ...] = ()

    @classmethod
    def told(cls, message: str, *, code: str | None = None, problems: Sequence[Problem] = ()) -> Self:
        """The error as another process told it: its message whole, whatever the class makes its own from; ``code``, if it is one that
        this version does not know.
        """
        error = cls.__new__(cls, message)
        WorkflowError.__init__(error, message)
        error.code = code or cls.code
        error._problems = tuple(problems)  # noqa: SLF001 - a second constructor
        return error

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The single findings, for errors about an input; empty for all others."""
        return self._problems


class InvalidRequest(WorkflowError):
    """An input is wrong. The message names the field, what is wrong with the value, and the fix."""

    code = "INVALID_REQUEST"

    def __init__(self, message: str, *, field: str | None = None, problems: Sequence[Problem] = ()) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self._problems = tuple(problems) or (Problem(message=message, field=field),)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong, one by one; at least one."""
        return self._problems or (Problem(message=self.message),)

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> Self:
        """One error for several findings; the message is the first of them and says how many follow."""
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return cls(f"{problems[0]}{more}", problems=problems)


class InvalidCronExpression(InvalidRequest):
    """The cron expression is not accepted, or never fires."""

    code = "INVALID_CRON_EXPRESSION"


class InvalidWorkflowSpec(InvalidRequest):
    """The workflow's YAML cannot be accepted."""

    code = "INVALID_WORKFLOW_SPEC"


class NotFound(WorkflowError):
    """What was asked for does not exist."""


class WorkflowNotFound(NotFound):
    """No workflow of this name is registered."""

    code = "WORKFLOW_NOT_FOUND"

    def __init__(self, dataset_name: str) -> None:
        super().__init__(f"Workflow {dataset_name!r} is not registered.")


class RevisionNotFound(NotFound):
    """The workflow has no revision of this number."""

    code = "WORKFLOW_REVISION_NOT_FOUND"

    def __init__(self, dataset_name: str, number: int) -> None:
        super().__init__(f"Workflow {dataset_name!r} has no revision {number}.")


class WorkflowRunNotFound(NotFound):
    """No run has this id."""

    code = "WORKFLOW_RUN_NOT_FOUND"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"There is no run {run_id!r}.")


class BackfillNotFound(NotFound):
    """No backfill has this id."""

    code = "BACKFILL_NOT_FOUND"

    def __init__(self, backfill_id: str) -> None:
        super().__init__(f"There is no backfill {backfill_id!r}.")


class Conflict(WorkflowError):
    """The request is well formed, but what exists does not allow it."""


class WorkflowAlreadyExists(Conflict):
    """The dataset name, or the DAG id that it maps to, belongs to a live workflow."""

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
    """A run was asked for while the workflow is paused; Airflow would leave it queued."""

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
        super().__init__(
            f"Workflow {dataset_name!r} has {len(run_ids)} runs that have not ended, such as {run_ids[0]!r}."
            " Stop them first, or use force."
        )


class RevisionMismatch(Conflict):
    """Somebody else has changed the workflow since the caller looked."""

    code = "WORKFLOW_REVISION_MISMATCH"

    def __init__(self, dataset_name: str, expected: int, current: int) -> None:
        super().__init__(
            f"Workflow {dataset_name!r} is at revision {current}, not {expected}. Look at it again, and then decide."
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
    """The backfill has ended, or is being stopped: it cannot be changed any more."""

    code = "BACKFILL_NOT_ACTIVE"

    def __init__(self, backfill_id: str, status: str) -> None:
        super().__init__(f"Backfill {backfill_id!r} cannot be changed any more: it is {status}.")


class BackfillAlreadyExists(Conflict):
    """The backfill id is taken."""

    code = "BACKFILL_ALREADY_EXISTS"

    def __init__(self, backfill_id: str) -> None:
        super().__init__(f"Backfill {backfill_id!r} already exists.")


class ConcurrentUpdate(Conflict):
    """The entity was changed by somebody else since it was read: read it again and decide anew."""

    code = "CONCURRENT_UPDATE"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was changed at the same time by somebody else. Read it again.")


class LeaseLost(ConcurrentUpdate):
    """Somebody else has claimed what was worked on: nothing was written."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"The lease of {subject!r}")


class StorageConflict(Conflict):
    """A conditional write found another object than the one that was expected."""

    code = "STORAGE_CONFLICT"

    def __init__(self, url: str) -> None:
        super().__init__(f"The stored object {url} is not the one that was expected.")


class KeyInUse(Conflict):
    """A request with this idempotency key was accepted and has not been answered yet: ask again, with the same key."""

    code = "IDEMPOTENCY_KEY_IN_USE"

    def __init__(self, key: str) -> None:
        super().__init__(f"A request with the Idempotency-Key {key!r} is still under way. Send it again in a second.")


class KeyReused(Conflict):
    """The idempotency key was used for another request; nothing was done."""

    code = "IDEMPOTENCY_KEY_REUSED"

    def __init__(self, key: str) -> None:
        super().__init__(f"The Idempotency-Key {key!r} was sent with another request before. Take a new one for each.")


class WorkflowPermissionDenied(WorkflowError):
    """A CODE workflow cannot be changed over this API (section 1.3 of the specification)."""

    code = "WORKFLOW_PERMISSION_DENIED"


class Unauthenticated(WorkflowError):
    """Nobody, or nobody that we know, asks."""

    code = "UNAUTHENTICATED"


class PermissionDenied(WorkflowError):
    """Who asks may see this, and may not do it."""

    code = "PERMISSION_DENIED"


class TooManyRequests(WorkflowError):
    """One caller has asked too often. ``retry_after`` is in seconds."""

    code = "TOO_MANY_REQUESTS"
    retry_after: float = 1.0


class Unavailable(WorkflowError):
    """Another system did not answer as it should. Nothing of its answer is repeated in the message.

    ``passing``: the same request may well be answered in a moment. ``retry_after``: seconds after which it makes sense to ask again,
    where that is known. ``place`` is the address that was asked, as the message names it: a fact for operators, which
    :attr:`discreet` leaves out.
    """

    passing: bool = False
    retry_after: float | None = None
    place: str | None = None

    def __init__(
        self, message: str, *, passing: bool = False, retry_after: float | None = None, place: str | None = None
    ) -> None:
        super().__init__(message)
        self.passing = passing
        self.retry_after = retry_after
        self.place = place

    @property
    def discreet(self) -> str:
        """The message without the address, for callers who are not told how the service is set up."""
        return self.message if self.place is None else self.message.replace(f" at {self.place}", "")


class TooManyWaiting(Unavailable):
    """As many requests as may wait do so already; whoever asks without waiting is answered."""

    code = "TOO_MANY_WAITING"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} requests wait already, as many as may. Ask without waiting, or later.")


class AirflowUnavailable(Unavailable):
    """Airflow cannot be reached or does not let us in; certainly nothing was done there."""

    code = "AIRFLOW_CONNECTION_FAILED"


class AirflowOutcomeUnknown(Unavailable):
    """The request was sent, but no usable answer came: it may or may not have been carried out."""

    code = "AIRFLOW_OUTCOME_UNKNOWN"


class StorageUnavailable(Unavailable):
    """The object store cannot be reached, or refuses our credentials."""

    code = "STORAGE_UNAVAILABLE"


class StorageRefused(StorageUnavailable):
    """The object store understood the request and refuses it; repeating it will not help until a setting is changed."""

    code = "STORAGE_REFUSED"


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, or gave up; nothing was recorded."""

    code = "DATABASE_UNAVAILABLE"


class DatabaseOutcomeUnknown(DatabaseUnavailable):
    """The connection to the database broke during the commit: it may or may not have been recorded."""

    code = "DATABASE_OUTCOME_UNKNOWN"


class IdentityProviderUnavailable(Unavailable):
    """The keys of whoever issues the callers' credentials cannot be had: nobody can say who asks, and nothing was done."""

    code = "IDENTITY_PROVIDER_UNAVAILABLE"


class ServerUnavailable(Unavailable):
    """The service cannot be reached over HTTP, or what answers there is something else; certainly nothing was done."""

    code = "SERVER_UNAVAILABLE"


class ServerOutcomeUnknown(Unavailable):
    """The request was sent to the service, but no usable answer came: it may or may not have been carried out."""

    code = "SERVER_OUTCOME_UNKNOWN"


class AirflowRefused(WorkflowError):
    """Airflow understood the request and said no; repeating it will not help."""

    code = "AIRFLOW_REQUEST_REFUSED"


class DagNotFound(AirflowRefused):
    """Airflow does not serve this DAG: its file is not parsed yet, or the DAG is stale."""

    code = "AIRFLOW_DAG_NOT_FOUND"

    def __init__(self, dag_id: str) -> None:
        super().__init__(f"Airflow does not serve the DAG {dag_id!r}.")


class LogicalDateTaken(AirflowRefused):
    """Another run of the DAG already has this logical date."""

    code = "AIRFLOW_LOGICAL_DATE_TAKEN"


class LoaderNotInstalled(AirflowRefused):
    """Airflow does not know the loader file that serves this workflow."""

    code = "AIRFLOW_LOADER_NOT_INSTALLED"

    def __init__(self, sentinel: str) -> None:
        super().__init__(
            f"Airflow does not serve the DAG {sentinel!r} of our loader files. Run `dli airflow install` for its DAGs"
            " folder, with the same number of loaders as this service (WORKFLOWS_LOADERS)."
        )


class ConfigurationError(WorkflowError):
    """A setting is missing or wrong."""

    code = "INVALID_CONFIGURATION"


def error_of(code: str, *, among: type[WorkflowError] = WorkflowError) -> type[WorkflowError] | None:
    """The class that this code belongs to; None if this version has none."""
    if vars(among).get("code") == code:
        return among
    return next((found for child in among.__subclasses__() if (found := error_of(code, among=child))), None)
