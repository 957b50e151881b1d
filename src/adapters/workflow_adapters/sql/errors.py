"""Translates errors of the drivers into errors of the core; the only place that does."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy import exc

from workflow_core.errors import DatabaseOutcomeUnknown, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

_UNDEFINED: Final = frozenset({"42P01", "42703"})  # PostgreSQL: undefined_table, undefined_column
_SHUTDOWN: Final = "57P"  # PostgreSQL: admin_shutdown, crash_shutdown, cannot_connect_now …
_UPGRADE: Final = "Run `dli db upgrade` with the version of this service."


@contextmanager
def unavailable(engine: Engine) -> Iterator[None]:
    """Raise :class:`DatabaseUnavailable` for every driver error that means that the database is not available now.

    The message names the host and the database, never the credentials and nothing of the server's answer. Errors of this code (a
    wrong statement, an unexpected constraint) are not translated.
    """
    where = place(engine)
    try:
        yield
    except exc.TimeoutError as error:
        msg = f"The database at {where} has no connection left for this process (WORKFLOWS_DATABASE_CONNECTIONS)."
        raise DatabaseUnavailable(msg, place=where) from error
    except exc.DBAPIError as error:
        if _schema_is_missing(error):
            msg = f"The database at {where} does not have the schema that this version needs. {_UPGRADE}"
            raise DatabaseUnavailable(msg, place=where) from error
        if _is_outage(error):
            msg = f"The database at {where} cannot be used: {_cause(error)}"
            raise DatabaseUnavailable(msg, place=where) from error
        raise


_CHECK: Final = "Check WORKFLOWS_DATABASE_URL."
_STATES: Final = {
    "57014": "a statement took longer than WORKFLOWS_DATABASE_STATEMENT_TIMEOUT.",
    "55P03": "a lock was not free within WORKFLOWS_DATABASE_LOCK_TIMEOUT.",
    "53300": "all of its connections are in use (max_connections).",
    "53100": "its disk is full.",
    "25006": f"it is read-only: is it a standby? {_CHECK}",
    "28P01": f"it refuses the user or the password. {_CHECK}",
    "28000": f"it refuses the user. {_CHECK}",
    "3D000": f"it does not exist. {_CHECK}",
}
_SAID: Final = (  # without an SQLSTATE the cause is found in the text of libpq or SQLite, which is not repeated
    ("password authentication failed", f"it refuses the user or the password. {_CHECK}"),
    ("no password supplied", f"it asks for a password. {_CHECK}"),
    ("does not exist", f"it does not exist. {_CHECK}"),
    ("onnection refused", f"the connection was refused. {_CHECK}"),
    ("resolve", f"its name does not resolve. {_CHECK}"),
    ("not known", f"its name does not resolve. {_CHECK}"),
    ("translate host name", f"its name does not resolve. {_CHECK}"),
    ("timeout", "it timed out: the connection took longer than WORKFLOWS_DATABASE_CONNECT_TIMEOUT."),
    ("timed out", "it timed out."),
    ("ertificate", f"TLS failed: its certificate is not trusted. {_CHECK}"),
    ("SSL", f"TLS failed. {_CHECK}"),
    ("unable to open database file", f"the file cannot be opened. {_CHECK}"),
    ("not a database", f"the file is no SQLite database. {_CHECK}"),
    ("is locked", "another process has locked it."),
    ("readonly", "the file cannot be written."),
    ("is full", "its disk is full."),
    ("o such file", f"its socket is not there. {_CHECK}"),
    ("shut", "it is starting or shutting down."),
    ("starting up", "it is starting or shutting down."),
    ("closed", "the connection broke."),
    ("lost", "the connection broke."),
    ("reset", "the connection broke."),
)


def _cause(error: exc.DBAPIError) -> str:
    """Why the database cannot be used, without the text of the driver."""
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if state in _STATES:
        return _STATES[state]
    if state.startswith(_SHUTDOWN):
        return "it is starting or shutting down."
    said = str(error.orig)
    return next((words for sign, words in _SAID if sign in said), "it gave up.")


def is_unanswered(engine: Engine, error: exc.DBAPIError) -> bool:
    """Whether a committing statement may have been carried out although it failed: its connection broke before the server's answer.

    The message of a server that shuts down is not an answer to the statement. SQLite always answers.
    """
    state = str(getattr(error.orig, "sqlstate", None) or _SHUTDOWN)
    return engine.dialect.name == "postgresql" and state.startswith(_SHUTDOWN)


def outcome_unknown(engine: Engine) -> DatabaseOutcomeUnknown:
    """The error of a commit that was not answered."""
    return DatabaseOutcomeUnknown(
        f"The connection to the database at {place(engine)} broke while this was being recorded.", place=place(engine)
    )


def wrong_revision(engine: Engine, found: str | None, wanted: str) -> DatabaseUnavailable:
    """The error of a database whose schema is not the one that this code needs."""
    state = "has no schema yet" if found is None else f"has schema revision {found}"
    where = place(engine)
    return DatabaseUnavailable(f"The database at {where} {state}; {wanted} is needed. {_UPGRADE}", place=where)


def violated(error: exc.IntegrityError) -> str:
    """The name of the violated unique constraint; empty for another constraint, or if the driver does not name it."""
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is not None:
        return str(diagnosis.constraint_name or "")
    # SQLite names the columns in its message, such as "UNIQUE constraint failed: runs.a, runs.b"
    kind, _, columns = str(error.orig).partition(" constraint failed")
    if kind != "UNIQUE":
        return ""
    parts = [column.strip().split(".") for column in columns.removeprefix(":").split(",")]
    return "_".join(("uq", parts[0][0], *(part[-1] for part in parts)))


def place(engine: Engine) -> str:
    """The place of the database, without user and password: ``host:port/name``, or the path of the file."""
    url = engine.url
    if url.host is None:
        return repr(url.database or "")
    port = f":{url.port}" if url.port else ""
    return repr(f"{url.host}{port}/{url.database or ''}")


def _is_outage(error: exc.DBAPIError) -> bool:
    # the bare DatabaseError: SQLite, "file is not a database"
    kinds = (exc.OperationalError, exc.InterfaceError, exc.InternalError)
    return error.connection_invalidated or isinstance(error, kinds) or type(error) is exc.DatabaseError


def _schema_is_missing(error: exc.DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    return state in _UNDEFINED or str(error.orig).startswith(("no such table", "no such column"))
