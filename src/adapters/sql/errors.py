"""The only place where errors of the drivers become errors of the core."""

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
    """Raise :class:`DatabaseUnavailable` for whatever means that the database cannot do its work now.

    The message names the host and the database, never the credentials and nothing of the server's answer. What is a fault of
    ours (a bad statement, a constraint nobody expects) goes through as it is.
    """
    try:
        yield
    except exc.TimeoutError as error:
        msg = f"No connection to the database {place(engine)} is free."
        raise DatabaseUnavailable(msg) from error
    except exc.DBAPIError as error:
        if _schema_is_missing(error):
            msg = f"The schema of the database {place(engine)} is not the one that is needed. {_UPGRADE}"
            raise DatabaseUnavailable(msg) from error
        if _is_outage(error):
            msg = f"The database {place(engine)} cannot be reached, or gave up."
            raise DatabaseUnavailable(msg) from error
        raise


def is_unanswered(engine: Engine, error: exc.DBAPIError) -> bool:
    """Whether a statement that commits may have been carried out all the same: its connection broke before the server had answered it.
    The last words of a server that is shut down are no answer to it. SQLite always answers.
    """
    told = str(getattr(error.orig, "sqlstate", None) or _SHUTDOWN)
    return engine.dialect.name == "postgresql" and told.startswith(_SHUTDOWN)


def outcome_unknown(engine: Engine) -> DatabaseOutcomeUnknown:
    """The error of a commit that was not answered."""
    return DatabaseOutcomeUnknown(
        f"The connection to the database {place(engine)} broke while this was being recorded."
    )


def wrong_revision(engine: Engine, found: str | None, wanted: str) -> DatabaseUnavailable:
    """The error of a database whose schema is not the one that this code needs."""
    state = "has no schema yet" if found is None else f"has schema revision {found}"
    return DatabaseUnavailable(f"The database {place(engine)} {state}; {wanted} is needed. {_UPGRADE}")


def violated(error: exc.IntegrityError) -> str:
    """The name of the unique constraint that was violated; empty if it is another, or the driver does not say."""
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is not None:
        return str(diagnosis.constraint_name or "")
    # SQLite says in words which columns it was, such as "UNIQUE constraint failed: runs.a, runs.b"
    kind, _, columns = str(error.orig).partition(" constraint failed")
    if kind != "UNIQUE":
        return ""
    parts = [column.strip().split(".") for column in columns.removeprefix(":").split(",")]
    return "_".join(("uq", parts[0][0], *(part[-1] for part in parts)))


def place(engine: Engine) -> str:
    """Where the database is, without user and password: ``host:port/name``, or the path of the file."""
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
