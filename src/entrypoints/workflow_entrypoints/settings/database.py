"""Settings of the database."""

from __future__ import annotations

from workflow_entrypoints.settings.fields import SettingsGroup, setting


class DatabaseSettings(SettingsGroup):
    """Where the database is, and how long it may take."""

    database_url: str = setting(
        "WORKFLOWS_DATABASE_URL",
        "sqlite:///workflows.db",
        "`sqlite:///file`, `postgresql://user:password@host/name`, or `memory://`.",
    )
    database_connections: int = setting(
        "WORKFLOWS_DATABASE_CONNECTIONS", 20, "Maximum number of database connections.", ge=1, le=500
    )
    database_pool_timeout: float = setting(
        "WORKFLOWS_DATABASE_POOL_TIMEOUT", 5.0, "Seconds to wait for one of them to be free.", gt=0, le=60
    )
    database_connect_timeout: float = setting(
        "WORKFLOWS_DATABASE_CONNECT_TIMEOUT",
        5.0,
        "Seconds to wait for PostgreSQL to accept a new connection, in whole seconds, for each address of its host name.",
        ge=1,
        le=60,
    )
    database_statement_timeout: float = setting(
        "WORKFLOWS_DATABASE_STATEMENT_TIMEOUT",
        30.0,
        "Seconds after which PostgreSQL cancels a statement, and after which a PostgreSQL that vanished is given up.",
        gt=0,
        le=600,
    )
    database_lock_timeout: float = setting(
        "WORKFLOWS_DATABASE_LOCK_TIMEOUT",
        10.0,
        "Seconds to wait for the locks of another transaction; on SQLite, for its only writer.",
        gt=0,
        le=600,
    )
