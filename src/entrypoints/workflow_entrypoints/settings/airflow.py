"""Settings of the connection to Airflow, and of the circuit breaker in front of it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, SecretStr, TypeAdapter

from workflow_entrypoints.settings.fields import SettingsGroup, setting

_HEADERS: Final = TypeAdapter(dict[str, str])


def _headers(value: SecretStr | None) -> SecretStr | None:
    """Refuse anything but a JSON object of strings."""
    if value is not None:
        _HEADERS.validate_json(value.get_secret_value())
    return value


class AirflowSettings(SettingsGroup):
    """Where Airflow is, how this service authenticates there, and how long a call may take."""

    airflow_base_url: str = setting(
        "AIRFLOW_BASE_URL", "http://localhost:8080", "Address of Airflow's web server or API server.",
        pattern=r"^https?://",
    )  # fmt: skip
    airflow_username: str = setting("AIRFLOW_USERNAME", "admin", "The user that this service logs in as.")
    airflow_password: SecretStr = setting("AIRFLOW_PASSWORD", "admin", "The password of that user.")
    airflow_token: SecretStr | None = setting(
        "AIRFLOW_TOKEN", None, "A bearer token to send instead of user and password (managed Airflow services)."
    )
    airflow_headers: Annotated[SecretStr | None, AfterValidator(_headers)] = setting(
        "AIRFLOW_HEADERS",
        None,
        "Additional headers for every request to Airflow, for a gateway in front of it: a JSON object of strings. An `Authorization` among"
        " them is sent instead of user and password.",
    )
    airflow_connect_timeout: float = setting(
        "AIRFLOW_CONNECT_TIMEOUT", 2.0, "Seconds to wait for a connection to Airflow.", gt=0, le=60
    )
    airflow_read_timeout: float = setting(
        "AIRFLOW_READ_TIMEOUT", 10.0, "Seconds to wait for the next bytes of a response.", gt=0, le=300
    )
    airflow_total_timeout: float = setting(
        "AIRFLOW_TOTAL_TIMEOUT", 15.0, "Seconds that one call may take in total.", gt=0, le=600
    )
    airflow_connections: int = setting(
        "AIRFLOW_CONNECTIONS",
        8,
        "Concurrent requests to Airflow on behalf of requests that change something; reads and the worker have two more each. An API"
        " server of 3.x stalls at more than about 15.",
        ge=1,
        le=500,
    )
    airflow_attempts: int = setting(
        "AIRFLOW_ATTEMPTS",
        3,
        "Attempts of a call that is safe to repeat, while Airflow fails in a way that may pass; all within AIRFLOW_TOTAL_TIMEOUT.",
        ge=1,
        le=10,
    )
    airflow_look_timeout: float = setting(
        "AIRFLOW_LOOK_TIMEOUT",
        0.5,
        "Seconds that a read may wait for Airflow where no worker mirrors it; after that it returns the last known state, marked as such.",
        gt=0,
        le=60,
    )
    airflow_api: Literal["auto", "v1", "v2", "memory"] = setting(
        "WORKFLOWS_AIRFLOW_API",
        "auto",
        "Airflow's API: `v1` (2.11), `v2` (3.x), `auto` (detected), `memory` (a fake, for trying out).",
    )

    @property
    def headers(self) -> dict[str, str]:
        """Additional headers for requests to Airflow."""
        return _HEADERS.validate_json(self.airflow_headers.get_secret_value()) if self.airflow_headers else {}


class BreakerSettings(SettingsGroup):
    """When the circuit breaker in front of Airflow opens and closes."""

    breaker_window: int = setting(
        "AIRFLOW_BREAKER_WINDOW", 20, "Number of most recent calls that the circuit breaker judges.", ge=1, le=10_000
    )
    breaker_minimum: int = setting(
        "AIRFLOW_BREAKER_MINIMUM", 10, "Number of calls that it needs before it judges.", ge=1, le=10_000
    )
    breaker_failure_rate: float = setting(
        "AIRFLOW_BREAKER_FAILURE_RATE", 0.5, "The share of failed calls at which it opens.", gt=0, le=1
    )
    breaker_slow_seconds: float = setting(
        "AIRFLOW_BREAKER_SLOW_SECONDS", 5.0, "A call that takes this many seconds, or longer, is slow.", gt=0, le=600
    )
    breaker_slow_rate: float = setting(
        "AIRFLOW_BREAKER_SLOW_RATE", 0.8, "The share of slow calls at which it opens.", gt=0, le=1
    )
    breaker_open_seconds: float = setting(
        "AIRFLOW_BREAKER_OPEN_SECONDS",
        10.0,
        "Seconds that it stays open: Airflow is not called, and requests that need it get 503 at once.",
        gt=0,
        le=3600,
    )
    breaker_probes: int = setting(
        "AIRFLOW_BREAKER_PROBES", 3, "Number of calls that it then admits to decide whether it closes.", ge=1, le=100
    )
