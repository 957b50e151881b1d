"""What differs between Airflow 2.11 and 3.x in how one is started: programs, settings, users, where the API is."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final

import httpx
from attrs import frozen

from devstack.ports import LOOPBACK
from devstack.process import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

USERNAME: Final = "admin"
# Airflow 2.11 checks the password at every request, with scrypt: 110 ms. This is a machine's own password of 96 random bits.
_HASH_ROUNDS: Final = 1000

# The command `airflow users create` takes the password as an argument, which every user of the machine can read.
_ADD_USER: Final = """
import os
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

with get_application_builder() as builder:
    found = builder.sm.find_user(os.environ["NEW_USER"])
    if found is None:
        found = builder.sm.add_user(
            os.environ["NEW_USER"], "Ada", "Min", "admin@example.com", builder.sm.find_role("Admin"),
            hashed_password=os.environ["NEW_USER_HASH"],
        )
    raise SystemExit(0 if found else "the user could not be added")
"""


@frozen(kw_only=True)
class Addresses:
    """The ports of one Airflow, and what it keeps in its home."""

    base_url: str
    port: int
    worker_logs: int
    trigger_logs: int
    scheduler_health: int
    database_url: str
    dags_folder: Path
    passwords: Path
    kept: Mapping[str, str]


@frozen(kw_only=True)
class Release:
    """One generation of Airflow.

    Attributes:
        api: the path of its REST API.
        health: the path, below ``api``, that says how its components are.
        components: the programs to run, the one that serves the API first.
        settings: its settings, without ``AIRFLOW__``, at these addresses.
        headers: what a request needs to be let in: of the base URL and the password.
        user: the command and the environment that add the user; None where settings do.
    """

    api: str
    health: str
    components: Mapping[str, Sequence[str]]
    settings: Callable[[Addresses], Mapping[str, str]]
    headers: Callable[[str, str], Mapping[str, str]]
    user: Callable[[str], tuple[Sequence[str], Mapping[str, str]]] | None = None


def release_in(environment: Path) -> Release:
    """The generation of the Airflow in a virtual environment.

    Raises:
        ServerError: there is none.
    """
    if any(environment.glob("lib/python*/site-packages/apache_airflow_core-3*")):
        return AIRFLOW_3
    if any(environment.glob("lib/python*/site-packages/apache_airflow-2*")):
        return AIRFLOW_2
    msg = f"no Airflow in {environment}"
    raise ServerError(msg)


def _shared(at: Addresses) -> Mapping[str, str]:
    # The ports of log servers and health check are not opened; set, so that nothing can meet another Airflow.
    return {
        "CORE__DAGS_FOLDER": str(at.dags_folder),
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__FERNET_KEY": at.kept["fernet_key"],
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__PARALLELISM": "8",  # the executor starts that many processes at once; its default is 32
        "DATABASE__SQL_ALCHEMY_CONN": at.database_url,
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(at.trigger_logs),
        "LOGGING__WORKER_LOG_SERVER_PORT": str(at.worker_logs),
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": LOOPBACK,
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(at.scheduler_health),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def _settings_2(at: Addresses) -> Mapping[str, str]:
    if at.database_url.startswith("sqlite"):
        msg = "Airflow 2.11 runs neither the local executor nor a separate DAG processor on SQLite; give it PostgreSQL"
        raise ServerError(msg)
    return {
        **_shared(at),
        "API__AUTH_BACKENDS": "airflow.api.auth.backend.basic_auth",
        "SCHEDULER__STANDALONE_DAG_PROCESSOR": "True",
        "WEBSERVER__BASE_URL": at.base_url,
        "WEBSERVER__SECRET_KEY": at.kept["session_key"],
        "WEBSERVER__WEB_SERVER_HOST": LOOPBACK,
        "WEBSERVER__WEB_SERVER_PORT": str(at.port),
        "WEBSERVER__WORKERS": "2",
    }


def _settings_3(at: Addresses) -> Mapping[str, str]:
    return {
        **_shared(at),
        "API__BASE_URL": at.base_url,
        "API__HOST": LOOPBACK,
        "API__PORT": str(at.port),
        "API__SECRET_KEY": at.kept["session_key"],
        "API__WORKERS": "1",
        "API_AUTH__JWT_SECRET": at.kept["jwt_secret"],
        "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "CORE__EXECUTION_API_SERVER_URL": f"{at.base_url}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(at.passwords),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USERNAME}:admin",
    }


def _basic(_: str, password: str) -> Mapping[str, str]:
    request = httpx.Request("GET", "http://any.invalid")
    signed = next(httpx.BasicAuth(USERNAME, password).auth_flow(request))
    return {"Authorization": signed.headers["Authorization"]}


def _bearer(base_url: str, password: str) -> Mapping[str, str]:
    credentials = {"username": USERNAME, "password": password}
    answer = httpx.post(f"{base_url}/auth/token", json=credentials, timeout=30.0, trust_env=False)
    return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}


def _add_user(password: str) -> tuple[Sequence[str], Mapping[str, str]]:
    salt = secrets.token_hex(8)
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), _HASH_ROUNDS).hex()
    hashed = f"pbkdf2:sha256:{_HASH_ROUNDS}${salt}${digest}"
    return ["python", "-c", _ADD_USER], {"NEW_USER": USERNAME, "NEW_USER_HASH": hashed}


_SCHEDULING: Final = {
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
AIRFLOW_2: Final = Release(
    api="/api/v1",
    health="/health",
    components={"webserver": ["webserver"], **_SCHEDULING},
    settings=_settings_2,
    headers=_basic,
    user=_add_user,
)
AIRFLOW_3: Final = Release(
    api="/api/v2",
    health="/monitor/health",
    components={"api-server": ["api-server"], **_SCHEDULING},
    settings=_settings_3,
    headers=_bearer,
)
