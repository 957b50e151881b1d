"""All settings of one process: the groups, composed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from workflow_core.usecases.config import ServiceConfig
from workflow_entrypoints.settings.airflow import AirflowSettings, BreakerSettings
from workflow_entrypoints.settings.auth import AuthSettings
from workflow_entrypoints.settings.client import ClientSettings
from workflow_entrypoints.settings.database import DatabaseSettings
from workflow_entrypoints.settings.http import HttpSettings
from workflow_entrypoints.settings.observability import ObservabilitySettings
from workflow_entrypoints.settings.storage import StorageSettings
from workflow_entrypoints.settings.worker import WorkerSettings
from workflow_entrypoints.settings.workflows import RunSettings, SpecSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workflow_entrypoints.settings.fields import SettingsGroup

GROUPS: Final[tuple[type[SettingsGroup], ...]] = (
    AirflowSettings,
    BreakerSettings,
    StorageSettings,
    DatabaseSettings,
    SpecSettings,
    RunSettings,
    AuthSettings,
    HttpSettings,
    WorkerSettings,
    ObservabilitySettings,
    ClientSettings,
)
"""The groups, in the order in which their settings are listed."""

_LISTED_AFTER: Final = {
    "WORKFLOWS_DATABASE_URL": "WORKFLOWS_STORAGE_URL",
    "WORKFLOWS_AIRFLOW_API": "WORKFLOWS_DATABASE_LOCK_TIMEOUT",
    "WORKFLOWS_MAX_BODY_BYTES": "WORKFLOWS_MAX_PARAMS_BYTES",
    "WORKFLOWS_MAX_WAITING": "WORKFLOWS_COMPARE_INTERVAL",
}
"""Settings that are listed beside one of another group: those that are read together stand together."""


class Settings(
    AirflowSettings,
    BreakerSettings,
    StorageSettings,
    DatabaseSettings,
    SpecSettings,
    RunSettings,
    AuthSettings,
    HttpSettings,
    WorkerSettings,
    ObservabilitySettings,
    ClientSettings,
):
    """The settings of one process, read once at its start. It is each of its groups: code takes the group that it
    needs.
    """

    def secrets(self) -> list[str]:
        """Every secret, for redaction."""
        values = [getattr(self, name) for name in type(self).model_fields]
        secrets = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        passwords = filter(None, map(_password_of, (self.database_url, self.storage)))
        return [*secrets, *self.headers.values(), *passwords]

    @property
    def policy(self) -> ServiceConfig:
        """The settings that the core needs."""
        return ServiceConfig(
            rules=self.rules,
            loaders=self.loaders,
            register_wait=self.register_wait,
            max_params_bytes=self.max_params_bytes,
            code_execution=self.code_execution,
            stop_grace=self.stop_grace,
            sync_max_removed=self.sync_max_removed,
            backfill_max_dates=self.backfill_max_dates,
            backfill_max_active=self.backfill_max_active,
            fresh_for=self.fresh_for,
            keep_keys=self.keep_keys,
            lease=max(30.0, 2 * self.airflow_total_timeout),
            compare_every=self.compare_interval,
            resend_after=self.airflow_total_timeout + 5.0,
            in_flight_limit=timedelta(seconds=max(30.0, 3 * self.airflow_total_timeout)),
            pause_margin=timedelta(seconds=max(20.0, 5 * self.sweep_interval)),
        )


def _password_of(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None


def _listed() -> dict[str, str]:
    fields = {str(field.validation_alias): name for group in GROUPS for name, field in group.model_fields.items()}
    names = [name for name in fields if name not in _LISTED_AFTER]
    for name, before in _LISTED_AFTER.items():
        names.insert(names.index(before) + 1, name)
    return {name: fields[name] for name in names}


NAMES: Final[Mapping[str, str]] = _listed()
"""The field of each environment variable, in the order in which settings are listed."""
