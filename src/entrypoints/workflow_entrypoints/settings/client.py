"""Settings of ``dli`` as the client of a service."""

from __future__ import annotations

from pydantic import SecretStr

from workflow_entrypoints.settings.fields import SettingsGroup, setting


class ClientSettings(SettingsGroup):
    """Which service ``dli`` talks to, if any."""

    server_url: str | None = setting(
        "DLI_SERVER_URL",
        None,
        "The service that `dli workflow …` calls, such as `https://workflows.example.com`. Default: none, `dli` does the work itself.",
        pattern=r"^https?://",
    )
    patience: float = setting(
        "DLI_PATIENCE",
        10.0,
        "Seconds, in total, for which a command resends a change when that service does not answer or specifies when to retry.",
        ge=0,
        le=120,
    )
    server_token: SecretStr | None = setting(
        "DLI_TOKEN",
        None,
        "Sent to that service as `Authorization: Bearer …`; takes precedence over the token that `dli login` keeps.",
    )
