"""Whether the service can do its work."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workflow_core.api.base import Answer, extra


class SystemAnswer(Answer):
    """One of the three systems."""

    status: Literal["ok", "unavailable"]
    detail: str = Field(description="Why it cannot be used, in words; `ok` if it can.")
    parts: dict[str, str] | None = extra(description="The states of Airflow's components.")
    breaker: Literal["closed", "open", "half_open"] | None = extra(
        description="The state of the circuit breaker in front of Airflow: while it is `open`, what needs Airflow is refused at once."
    )


class HealthAnswer(Answer):
    """All three systems; `status` is `ok` only if each is."""

    status: Literal["ok", "unavailable"]
    database: SystemAnswer
    storage: SystemAnswer
    airflow: SystemAnswer
