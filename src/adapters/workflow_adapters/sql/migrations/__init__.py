"""The schema's history, applied by Alembic from code: there is no ``alembic.ini``.

A new revision is written by hand in ``versions/`` for both databases, and :data:`HEAD` names it. Services of the previous version keep
running during and after the upgrade, so a revision only adds and holds no lock for long:
``tests/unit/adapters/test_migrations.py`` checks what a revision may not contain, and :mod:`workflow_adapters.sql.migrations.online`
has the operations that are safe.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from workflow_adapters.sql.errors import unavailable
from workflow_adapters.sql.tables import schema_version
from workflow_adapters.sql.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config
    from sqlalchemy.engine import Connection, Engine

HEAD: Final = "0011"
"""The revision that this code needs."""

LOCK_WAIT: Final = 3_000
"""Milliseconds that a statement of a migration waits for a lock on PostgreSQL, and may therefore delay a service."""

_log = logging.getLogger(__name__)
_ADVISORY_LOCK: Final = 0x776F726B666C6F77  # "workflow"; any number that no other program locks in this database
_one_at_a_time = Lock()  # alembic's context is one per process


def upgrade(engine: Engine) -> str:
    """Migrate the schema to :data:`HEAD` and return its revision; do nothing if it is at that revision or a later one.

    Any number of processes may call this at the same time: one migrates, the others wait. Services of the previous version may keep
    running. On SQLite the migration is one transaction, on PostgreSQL one for each revision, so that none holds its locks for long;
    a revision that cannot acquire its locks within :data:`LOCK_WAIT` fails, so that other statements do not queue behind it.
    Then repeat the call.

    Raises:
        DatabaseUnavailable: the database cannot be reached, or the migration did not acquire a lock in time.
    """
    with _one_at_a_time, unavailable(engine):
        if engine.dialect.name == "postgresql":
            transactional = engine.execution_options(isolation_level="READ COMMITTED")
            with transactional.connect() as connection, _alone(connection):
                return _upgraded(connection)
        with Transactions(engine).writing() as connection:
            return _upgraded(connection)


def _upgraded(connection: Connection) -> str:
    from alembic import command  # noqa: PLC0415 - slow to import, and only this function needs it

    found = revision_of(connection)
    if connection.dialect.name == "postgresql":
        connection.commit()  # or Alembic would take our transaction for the one around everything
    if is_served_by(found):
        return str(found)
    command.upgrade(alembic_config(connection), "head")
    return HEAD


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Hold the advisory lock of the session; the lock of a process that dies is released.

    The lock is polled, not waited for: a waiting statement holds a snapshot, for which the creation of an index CONCURRENTLY
    would wait in turn.
    """
    try:
        connection.execute(sa.text(f"SET statement_timeout = 0; SET lock_timeout = {LOCK_WAIT}"))
        told = False
        while not connection.execute(sa.select(sa.func.pg_try_advisory_lock(_ADVISORY_LOCK))).scalar():
            connection.commit()
            if not told:
                _log.info("another process upgrades the schema; waiting for it")
            told = True
            time.sleep(0.2)
        connection.commit()
        yield
    finally:
        connection.invalidate()  # ends the session, and the lock and the settings with it


def is_served_by(revision: str | None) -> bool:
    """Whether this code works with a schema of this revision: its own, or a later one.

    A later version's migrations only add (``tests/unit/adapters/test_migrations.py`` holds them to it), so that services of this version go
    on while the next one is rolled out.
    """
    return revision is not None and (revision == HEAD or (revision.isdigit() and int(revision) > int(HEAD)))


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
    config.set_main_option("script_location", "workflow_adapters.sql:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
