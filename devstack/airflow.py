"""A real Airflow, 2.11 or 3.x, on loopback, with one user and the local executor.

It starts the four components that ``airflow standalone`` starts (API or web server, scheduler, DAG processor, triggerer), but
not through it: that command opens its two log servers to every network (their address cannot be set), checks the
database's migrations at every start, and keeps running when a component has died. Task logs stay readable in the API,
which finds them in the same directory.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime as dt
import fcntl
import json
import os
import secrets
import subprocess
from typing import TYPE_CHECKING, Any, Self

import httpx

from devstack.airflow_release import USERNAME, Addresses, Release, release_in
from devstack.ports import LOOPBACK, free_ports, is_free, require_free
from devstack.process import ManagedProcess, ServerError, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

# In about half of its stops the triggerer of 3.3.2 waits for ever for a child that has ended; it has nothing to save.
_TRIGGERER_GRACE = 2.0
_HEALTH = ("scheduler", "dag_processor", "triggerer")
# What Airflow and its tasks see of our own environment; AIRFLOW__*, PYTHON* and credentials would change what they do.
_INHERITED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LOGNAME", "SSL_CERT_FILE", "TMPDIR", "TZ", "USER")


class LocalAirflow:
    """Airflow, running from entering the ``with`` block to leaving it.

    Args:
        environment: virtual environment that holds Airflow (2.11 or 3.x) and what the DAGs need.
        home: ``AIRFLOW_HOME``; created, or used again with its database, secrets and password.
        dags_folder: folder of DAG files; created.
        database_url: SQLAlchemy URL for Airflow's own database; SQLite in ``home`` if None, which Airflow 3 alone can do with.
            PostgreSQL: :meth:`devstack.postgres.LocalPostgres.create_airflow_database`.
        extra_env: more environment variables for Airflow and its tasks; they win over those set here.
        start_timeout: seconds for each of the two parts of a start, the database and the servers.
        api_port: port of the API and the user interface; a free one if None.
        on_progress: called with a line of text for each thing that is waited for.

    Attributes:
        base_url: address of the API server (2.11: web server).
        api_url: address of the REST API.
        username: name of the one user, an administrator.
        password: that user's password.
        log_path: directory of the components' logs, one file each.
        env: the complete environment that Airflow runs with, to run ``airflow`` commands beside it.
    """

    def __init__(
        self,
        *,
        environment: Path,
        home: Path,
        dags_folder: Path,
        database_url: str | None = None,
        extra_env: Mapping[str, str] | None = None,
        start_timeout: float = 120.0,
        api_port: int | None = None,
        on_progress: Callable[[str], None] = no_progress,
    ) -> None:
        self.environment = environment.absolute()
        self.home = home.absolute()
        self.dags_folder = dags_folder.absolute()
        self.username = USERNAME
        self.log_path = self.home / "server-logs"
        self._database_url = database_url or f"sqlite:///{self.home / 'airflow.db'}"
        self._extra_env = dict(extra_env or {})
        self._start_timeout = start_timeout
        self._wanted_port = api_port
        self._on_progress = on_progress
        self._marker = self.home / "database-ready"
        self._processes: list[ManagedProcess] = []
        self._held = contextlib.ExitStack()
        self.port = 0
        self.base_url = ""
        self.api_url = ""
        self.password = ""
        self.env: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start Airflow and return when its API answers and all its components have reported as healthy.

        Raises:
            PortInUseError: the API's port is taken.
            ServerError: the home is in use, or a component ended or was not ready in time; nothing is left running.
        """
        program = self.environment / "bin" / "airflow"
        if not program.is_file():
            msg = f"no Airflow in {self.environment}: {program} does not exist"
            raise ServerError(msg)
        release = release_in(self.environment)
        self._hold_home()
        try:
            self._prepare(release)
            require_free(self.port, "Airflow's API server")
            self._initialise_database(release)
            self._start_components(release)
        except BaseException:
            # The next start looks at the database again, in case that was the reason.
            self._marker.unlink(missing_ok=True)
            self.stop()
            raise
        self._on_progress(f"Airflow: ready at {self.base_url}")

    def _start_components(self, release: Release) -> None:
        program = self.environment / "bin" / "airflow"
        started = dt.datetime.now(dt.UTC)
        for left in self.home.glob(
            "*.pid"
        ):  # of a start that was killed: the process of that number is another one now
            left.unlink()
        self._processes = [
            ManagedProcess(
                [program, *arguments],
                name=f"Airflow {name}" + (f" (port {self.port})" if name.endswith("server") else ""),
                log_path=self.log_path / f"{name}.log",
                env=self.env,
                cwd=self.home,
                grace=_TRIGGERER_GRACE if name == "triggerer" else 10.0,
            )
            for name, arguments in release.components.items()
        ]
        for process in self._processes:
            process.start()
        self._processes[0].wait_until(
            lambda: self._missing(started), timeout=self._start_timeout, on_progress=self._on_progress
        )

    def stop(self) -> None:
        """End Airflow with all its tasks. Does nothing if it is not running.

        Raises:
            ServerError: processes or a listening port are left.
        """
        processes, self._processes = self._processes, []
        with self._held:
            if not processes:
                return
            with concurrent.futures.ThreadPoolExecutor(len(processes)) as pool:
                list(pool.map(ManagedProcess.stop, processes))
            if not is_free(self.port):
                raise processes[0].error(f"is stopped, but port {self.port} is still in use")

    def health(self) -> dict[str, Any]:
        """Return what the API says of the components; an empty answer while it does not answer."""
        with contextlib.suppress(httpx.HTTPError, ValueError):
            answer = httpx.get(self.api_url + release_in(self.environment).health, timeout=5.0, trust_env=False)
            if answer.is_success:
                return dict(answer.json())
        return {}

    def headers(self) -> Mapping[str, str]:
        """Return the headers with which the API lets the user in."""
        return release_in(self.environment).headers(self.base_url, self.password)

    def _missing(self, started: dt.datetime) -> str | None:
        """Say what is not ready yet; None if everything is."""
        for process in self._processes:
            if not process.is_running:
                raise process.error(f"ended with exit code {process.exit_code} during the start")
        health = self.health()
        if not health:
            return f"its health check at {self.base_url}"
        missing = [name for name in _HEALTH if not _is_healthy(health.get(name) or {}, name, started)]
        return f"health of {', '.join(missing)}" if missing else None

    def _hold_home(self) -> None:
        """Keep other programs from running a second Airflow on this home."""
        self.home.mkdir(parents=True, exist_ok=True)
        lock = self._held.enter_context((self.home / "lock").open("a"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._held.close()
            msg = f"another program is running an Airflow in {self.home}"
            raise ServerError(msg) from error

    def _prepare(self, release: Release) -> None:
        """Create what has to exist on disk, and settle addresses, secrets and environment."""
        self.log_path.mkdir(exist_ok=True)
        self.dags_folder.mkdir(parents=True, exist_ok=True)
        kept = _secrets(self.home / "secrets.json")
        passwords = self.home / "passwords.json"
        _write_private(passwords, json.dumps({self.username: kept["password"]}))
        self.password = kept["password"]
        worker_logs, trigger_logs, scheduler_health, api = free_ports(4)
        self.port = self._wanted_port or api
        self.base_url = f"http://{LOOPBACK}:{self.port}"
        self.api_url = self.base_url + release.api
        addresses = Addresses(
            base_url=self.base_url,
            port=self.port,
            worker_logs=worker_logs,
            trigger_logs=trigger_logs,
            scheduler_health=scheduler_health,
            database_url=self._database_url,
            dags_folder=self.dags_folder,
            passwords=passwords,
            kept=kept,
        )
        self.env = {
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            "AIRFLOW_HOME": str(self.home),
            "DO_NOT_TRACK": "1",
            "NO_PROXY": f"{LOOPBACK},localhost",
            "PATH": f"{self.environment / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
            "SCARF_NO_ANALYTICS": "true",
            **{f"AIRFLOW__{name}": value for name, value in release.settings(addresses).items()},
            **self._extra_env,
        }

    def _initialise_database(self, release: Release) -> None:
        """Create or migrate Airflow's database and add the user, unless this Airflow did so for this database before."""
        versions = sorted(path.name for path in self.environment.glob("lib/python*/site-packages/apache_airflow*-info"))
        done = json.dumps([self._database_url, versions])
        exists = not self._database_url.startswith("sqlite") or (self.home / "airflow.db").exists()
        if exists and self._marker.exists() and self._marker.read_text() == done:
            return
        self._on_progress("Airflow: preparing its database")
        self._run("db-migrate", ["airflow", "db", "migrate"], {})
        if release.user is not None:
            self._run("add-user", *release.user(self.password))
        _write_private(self._marker, done)

    def _run(self, name: str, command: Sequence[str], more: Mapping[str, str]) -> None:
        """Run a program of the environment to its end."""
        process = ManagedProcess(
            [self.environment / "bin" / command[0], *command[1:]],
            name=f"Airflow {name}",
            log_path=self.log_path / f"{name}.log",
            env={**self.env, **more},
            cwd=self.home,
        )
        with process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self._start_timeout)
            if process.exit_code is None:
                raise process.error(f"is not done after {self._start_timeout:g} s")
            if process.exit_code != 0:
                raise process.error(f"failed with exit code {process.exit_code}")


def _is_healthy(component: Mapping[str, Any], name: str, started: dt.datetime) -> bool:
    """Say whether a component of this start is healthy: heartbeats of an earlier one count as healthy for 30 s."""
    beat = component.get(f"latest_{name}_heartbeat")
    return component.get("status") == "healthy" and beat is not None and dt.datetime.fromisoformat(beat) >= started


def _secrets(path: Path) -> dict[str, str]:
    """Read the keys of one Airflow home, made at its first start."""
    if not path.exists():
        made = {name: secrets.token_urlsafe(48) for name in ("jwt_secret", "session_key")}
        # A Fernet key is 32 random bytes in padded URL-safe base64.
        made |= {"password": secrets.token_urlsafe(12), "fernet_key": secrets.token_urlsafe(32) + "="}
        _write_private(path, json.dumps(made))
    return dict(json.loads(path.read_text()))


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(text)
