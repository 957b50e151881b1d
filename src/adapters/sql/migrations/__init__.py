"""The schema's history, applied by Alembic from code: there is no ``alembic.ini``.

A new revision is written by hand in ``versions/`` for both databases, and :data:`HEAD` names it.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from adapters.sql.tables import schema_version
from adapters.sql.transactions import Transactions

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy.engine import Connection, Engine

HEAD: Final = "0008"
"""The revision that this code needs."""

_ADVISORY_LOCK: Final = 0x776F726B666C6F77  # "workflow"; any number will do that nobody else locks in this database
_one_at_a_time = Lock()  # alembic's context is one per process


def upgrade(engine: Engine) -> str:
    """Bring the schema to :data:`HEAD` and return that; does nothing where it is there already.

    One transaction: all of it or nothing. Any number of processes may do this at the same time; they queue on an advisory
    lock (PostgreSQL) or on the only writer (SQLite).

    Raises:
        DatabaseUnavailable: the database cannot be reached, or gave up.
    """
    from alembic import command  # noqa: PLC0415 - slow to import, and only this function needs it

    with _one_at_a_time, Transactions(engine).writing() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
            connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        command.upgrade(alembic_config(connection), "head")
    return HEAD


def current_revision(engine: Engine) -> str | None:
    """The revision of the schema in this database; None if it has none.

    Raises:
        DatabaseUnavailable: the database cannot be reached, or gave up.
    """
    with Transactions(engine).reading() as connection:
        return revision_of(connection)


def revision_of(connection: Connection) -> str | None:
    """As :func:`current_revision`, inside a transaction."""
    if not sa.inspect(connection).has_table(schema_version):
        return None
    found: str | None = connection.execute(
        sa.select(sa.column("version_num")).select_from(sa.table(schema_version))
    ).scalar()
    return found


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, for its commands and for tests."""
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", "adapters.sql:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
