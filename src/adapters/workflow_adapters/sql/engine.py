"""Connections to the databases, and the limits of the time spent on them."""

from __future__ import annotations

import select
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError

from workflow_adapters.sql.columns import dump_json
from workflow_core.errors import ConfigurationError

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy.engine import URL, Connection, Engine
    from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

BEGIN_IMMEDIATE: Final = "workflow_core_begin_immediate"
"""The execution option that marks a transaction on SQLite as writing."""

PING_AFTER: Final = 10.0
"""Seconds after which an idle connection to PostgreSQL is pinged before it is used."""

_DRIVERS: Final = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
}


def make_engine(  # noqa: PLR0913 - each argument is a setting, passed by name
    url: str | URL,
    *,
    pool_size: int = 10,
    pool_timeout: float = 5.0,
    connect_timeout: float = 5.0,
    statement_timeout: float = 30.0,
    lock_timeout: float = 10.0,
) -> Engine:
    """Create an engine for the adapter. It does not connect yet.

    Args:
        url: ``postgresql://user:password@host/database`` (psycopg 3) or ``sqlite:////absolute/path``.
        pool_size: Maximum number of connections; one for each thread that uses the database at the same time.
        pool_timeout: Seconds to wait for a free connection.
        connect_timeout: Seconds to wait for PostgreSQL to answer a new connection, for each of its addresses.
        statement_timeout: Seconds after which PostgreSQL cancels a statement.
        lock_timeout: Seconds to wait for the lock of another transaction; on SQLite, for its only writer.

    Raises:
        ConfigurationError: The URL is not supported. In-memory SQLite is refused, because every connection would see another
            database; use :class:`workflow_core.fakes.database.InMemoryDatabase` instead.
    """
    parsed = _parsed(url)
    options: dict[str, Any] = {
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": pool_timeout,
        "pool_use_lifo": True,  # prefer a connection that has prepared the statement already
        "json_serializer": dump_json,
        "hide_parameters": True,  # keep the values of statements out of logs
    }
    if parsed.get_backend_name() == "sqlite":
        engine = sa.create_engine(parsed, poolclass=sa.QueuePool, connect_args={"timeout": lock_timeout}, **options)
        _prepare_sqlite(engine, lock_timeout)
        return engine
    settings = {
        "timezone": "UTC",
        "statement_timeout": round(statement_timeout * 1000),
        "lock_timeout": round(lock_timeout * 1000),
    }
    given = parsed.query.get("options", "")
    arguments = {
        "connect_timeout": max(1, round(connect_timeout)),
        "prepare_threshold": 1,  # parsed and planned once: saves 0.5 of the 1.5 ms that recording a run takes
        "options": " ".join([str(given), *(f"-c {name}={value}" for name, value in settings.items())]).strip(),
        # detect a server that vanished without closing the connection
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": round(statement_timeout * 1000),
    }
    # Most transactions have one statement: in autocommit it needs no further round trip and no switch of the connection's mode.
    engine = sa.create_engine(
        parsed, connect_args=arguments, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True, **options
    )
    _replace_ended_sessions(engine)
    return engine


def _parsed(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        msg = "The database URL cannot be read; write postgresql://user:password@host/database or sqlite:////path."
        raise ConfigurationError(msg) from None  # the cause repeats the URL with its password
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        msg = f"There is no support for databases of the kind {parsed.drivername!r}; use postgresql or sqlite."
        raise ConfigurationError(msg)
    if driver == "sqlite" and (parsed.database in {None, "", ":memory:"} or "mode" in parsed.query):
        msg = "SQLite needs a file: write sqlite:////path. An in-memory database would be another for every connection."
        raise ConfigurationError(msg)
    return parsed.set(drivername=driver)


def _replace_ended_sessions(engine: Engine) -> None:
    """Replace connections whose session has ended, as ``pool_pre_ping`` does, but without a round trip for each use.

    A server that ends a session sends a message and closes: then an idle connection has data to read. A server that vanished sends
    nothing, so a connection that was idle for :data:`PING_AFTER` is pinged.
    """

    @event.listens_for(engine, "checkin")
    def _returned(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["returned_at"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _taken(connection: Any, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        idle = time.monotonic() - record.info.get("returned_at", time.monotonic())
        if idle <= PING_AFTER and not _has_something_to_read(connection):
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool opens another connection


def _has_something_to_read(connection: psycopg.Connection) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _prepare_sqlite(engine: Engine, lock_timeout: float) -> None:
    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # without the driver's BEGIN, which would come late and without IMMEDIATE
        connection.execute("PRAGMA foreign_keys = ON")
        _use_wal(connection, lock_timeout)

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        # A transaction that reads first and writes later is refused at once if another one wrote in between, regardless of
        # the timeout. So a writing transaction takes the write lock at its start, and waits for it.
        writes = connection.get_execution_options().get(BEGIN_IMMEDIATE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _use_wal(connection: sqlite3.Connection, timeout: float) -> None:
    """Switch the file permanently to write-ahead logging, in which readers and the writer do not wait for each other.

    The switch upgrades a read lock, and for that SQLite never calls its busy handler (``sqlite3BtreeBeginTrans``): of two
    programs that open a new file at the same time, one is refused at once. So this function waits instead.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
