"""The state of the service and of the systems that it depends on."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from workflow_core.api.base import Answer, extra
from workflow_core.ports.airflow import BreakerState


class HealthStatus(StrEnum):
    """Whether a system is available."""

    OK = "ok"
    UNAVAILABLE = "unavailable"


class SystemAnswer(Answer):
    """A system that the service depends on."""

    status: HealthStatus = Field(description="Whether the system is available.")
    detail: str = Field(description="Why it is unavailable, in words; `ok` if it is available.")
    parts: dict[str, str] | None = extra(description="The states of Airflow's components.")
    breaker: BreakerState | None = extra(
        description="The state of the circuit breaker in front of Airflow: while it is `open`, requests that need"
        " Airflow are refused at once."
    )


class HealthAnswer(Answer):
    """The systems that the service depends on; `status` is `ok` only if each of them is."""

    status: HealthStatus = Field(description="`ok` if each of the four is.")
    database: SystemAnswer = Field(description="The database of this service.")
    storage: SystemAnswer = Field(description="The object store.")
    airflow: SystemAnswer = Field(description="Airflow, with its components and the circuit breaker in front of it.")
    worker: SystemAnswer = Field(description="Whether a worker has completed a pass within the last minute.")


class ReadyAnswer(Answer):
    """Whether this process can answer requests."""

    status: HealthStatus = Field(description="`unavailable`: send requests to another replica.")
    database: SystemAnswer = Field(description="The database, which every request needs.")
