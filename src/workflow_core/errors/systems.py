"""Errors of other systems: they did not answer, or refused."""

from __future__ import annotations

from workflow_core.errors.base import WorkflowError


class Unavailable(WorkflowError):
    """Another system did not answer as expected. The message repeats nothing of its response.

    Attributes:
        passing: whether the same request may succeed in a moment.
        retry_after: seconds after which a retry makes sense, where that is known.
        place: the address of the system, as the message contains it: a fact for operators, which :attr:`discreet`
            leaves out.
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
        """The message without the address, for callers who may not learn how the service is deployed."""
        return self.message if self.place is None else self.message.replace(f" at {self.place}", "")


class TooManyWaiting(Unavailable):
    """The maximum number of requests already waits for a change; a request that does not wait is answered."""

    code = "TOO_MANY_WAITING"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The maximum of {limit} requests already waits. Ask without waiting, or later.")


class AirflowUnavailable(Unavailable):
    """Airflow cannot be reached or rejects our credentials; certainly nothing was done there."""

    code = "AIRFLOW_CONNECTION_FAILED"


class AirflowOutcomeUnknown(Unavailable):
    """The request was sent, but no usable response came: it may or may not have been carried out."""

    code = "AIRFLOW_OUTCOME_UNKNOWN"


class StorageUnavailable(Unavailable):
    """The object store cannot be reached, or rejects our credentials."""

    code = "STORAGE_UNAVAILABLE"


class StorageRefused(StorageUnavailable):
    """The object store understood the request and refuses it; a repeat does not help until a setting is changed."""

    code = "STORAGE_REFUSED"


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, or gave up; nothing was recorded."""

    code = "DATABASE_UNAVAILABLE"


class DatabaseOutcomeUnknown(DatabaseUnavailable):
    """The connection to the database broke during the commit: it may or may not have been recorded."""

    code = "DATABASE_OUTCOME_UNKNOWN"


class IdentityProviderUnavailable(Unavailable):
    """The keys of the identity provider are not available: no caller can be authenticated, and nothing was done."""

    code = "IDENTITY_PROVIDER_UNAVAILABLE"


class ServerUnavailable(Unavailable):
    """The service cannot be reached over HTTP, or another program answers at its address; certainly nothing was done."""

    code = "SERVER_UNAVAILABLE"


class ServerOutcomeUnknown(Unavailable):
    """The request was sent to the service, but no usable response came: it may or may not have been carried out."""

    code = "SERVER_OUTCOME_UNKNOWN"


class AirflowRefused(WorkflowError):
    """Airflow understood the request and refused it; a repeat does not help."""

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
    """Airflow does not serve the loader file of this workflow."""

    code = "AIRFLOW_LOADER_NOT_INSTALLED"

    def __init__(self, sentinel: str) -> None:
        super().__init__(
            f"Airflow does not serve the DAG {sentinel!r} of our loader files. Run `dli airflow install` for its DAGs"
            " folder, with the same number of loaders as this service (WORKFLOWS_LOADERS)."
        )
