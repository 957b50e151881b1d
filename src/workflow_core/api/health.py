"""Whether the service can do its work."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from workflow_core.api.base import Answer, extra
from workflow_core.ports.airflow import BreakerState


class HealthStatus(StrEnum):
    """Whether something can be used."""

    OK = "ok"
    UNAVAILABLE = "unavailable"


class SystemAnswer(Answer):
    """One of the systems that the service depends on."""

    status: HealthStatus = Field(description="Whether it can be used.")
    detail: str = Field(description="Why it cannot be used, in words; `ok` if it can.")
    parts: dict[str, str] | None = extra(description="The states of Airflow's components.")
    breaker: BreakerState | None = extra(
        description="The state of the circuit breaker in front of Airflow: while it is `open`, what needs Airflow is refused at once."
    )


class HealthAnswer(Answer):
    """What the service depends on; `status` is `ok` only if each of them is."""

    status: HealthStatus = Field(description="`ok` if each of the four is.")
    database: SystemAnswer = Field(description="The database of this service.")
    storage: SystemAnswer = Field(description="The object store.")
    airflow: SystemAnswer = Field(description="Airflow, with its components and the circuit breaker in front of it.")
    worker: SystemAnswer = Field(description="Whether a worker has ended a pass within the last minute.")


class ReadyAnswer(Answer):
    """Whether this process can answer requests."""

    status: HealthStatus = Field(description="`unavailable`: send requests elsewhere.")
    database: SystemAnswer = Field(description="The database, without which nothing is answered.")
