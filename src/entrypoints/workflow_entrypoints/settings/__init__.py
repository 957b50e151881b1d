"""Every setting: its name in the environment, its place in the YAML file, its default.

Environment first, then the YAML file named by ``WORKFLOWS_CONFIG``, then the default. A place in the file is the name of the
variable: the path's words joined by ``_`` in upper case, so that ``workflows: {s3: {bucket: x}}`` and ``airflow: {base-url: y}``
are ``WORKFLOWS_S3_BUCKET`` and ``AIRFLOW_BASE_URL`` (specification, section 10).
"""

from __future__ import annotations

import getpass
import json
import os
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from workflow_core.domain.spec import DEFAULT_CALLABLES, DEFAULT_OPERATORS, SpecRules
from workflow_core.errors import ConfigurationError
from workflow_core.usecases.config import CodeExecution, ServiceConfig
from workflow_entrypoints.observability.redaction import MASK, redact
from workflow_entrypoints.settings.grants import GrantRule, read_grants
from workflow_entrypoints.settings.placeholders import expanded

if TYPE_CHECKING:
    from collections.abc import Mapping


class AuthKind(StrEnum):
    """How it is found out who asks over HTTP."""

    NONE = "none"
    TOKEN = "token"  # noqa: S105 - a kind, not a secret
    JWT = "jwt"
    PROXY = "proxy"


CONFIG_VARIABLE: Final = "WORKFLOWS_CONFIG"

Network = IPv4Network | IPv6Network

_HEADER_NAME: Final = r"^[A-Za-z][A-Za-z0-9-]{0,63}$"
_NEEDED: Final[Mapping[AuthKind, tuple[str, ...]]] = {
    AuthKind.JWT: ("jwt_issuer", "jwt_audience", "jwt_jwks_url"),
    AuthKind.PROXY: ("proxy_peers",),
}
"""The settings without which a kind of authentication cannot be."""

_HEADERS: Final = TypeAdapter(dict[str, str])


def _words(value: object) -> object:
    """A list may be written as one text with commas, as environment variables must."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _kinds(value: tuple[AuthKind, ...]) -> tuple[AuthKind, ...]:
    """Refuse a list that says two things, or nothing."""
    if not value or len(set(value)) < len(value) or (AuthKind.NONE in value and len(value) > 1):
        msg = "must be none, or a list without repetitions of " + ", ".join(kind for kind in AuthKind if kind != "none")
        raise ValueError(msg)
    return value


def _peers(value: tuple[Network, ...]) -> tuple[Network, ...]:
    """Refuse a network of all addresses."""
    if any(network.prefixlen == 0 for network in value):
        msg = "must not be everybody: whoever reaches the port could be anybody"
        raise ValueError(msg)
    return value


def _grants(value: str) -> str:
    """Refuse what grants nothing that can be."""
    read_grants(value)
    return value


def _headers(value: SecretStr | None) -> SecretStr | None:
    """Refuse what is no JSON object of texts."""
    if value is not None:
        _HEADERS.validate_json(value.get_secret_value())
    return value


def _password_of(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None


def _default_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "anonymous"


def _setting(name: str, default: Any, description: str, **rules: Any) -> Any:
    return Field(default=default, validation_alias=name, description=description, validate_default=True, **rules)


class Settings(BaseModel):
    """The settings of one process, read once at its start."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    airflow_base_url: str = _setting(
        "AIRFLOW_BASE_URL", "http://localhost:8080", "Where Airflow's web server or API server answers.",
        pattern=r"^https?://",
    )  # fmt: skip
    airflow_username: str = _setting("AIRFLOW_USERNAME", "admin", "The user that this service logs in as.")
    airflow_password: SecretStr = _setting("AIRFLOW_PASSWORD", "admin", "Its password.")
    airflow_token: SecretStr | None = _setting(
        "AIRFLOW_TOKEN", None, "A bearer token to send instead of user and password (managed Airflows)."
    )
    airflow_headers: Annotated[SecretStr | None, AfterValidator(_headers)] = _setting(
        "AIRFLOW_HEADERS",
        None,
        "More headers for every request to Airflow, for a gateway in front of it: a JSON object of texts. An `Authorization` among"
        " them is sent instead of user and password.",
    )
    airflow_connect_timeout: float = _setting(
        "AIRFLOW_CONNECT_TIMEOUT", 2.0, "Seconds to wait for a connection to Airflow.", gt=0, le=60
    )
    airflow_read_timeout: float = _setting(
        "AIRFLOW_READ_TIMEOUT", 10.0, "Seconds to wait for the next bytes of an answer.", gt=0, le=300
    )
    airflow_total_timeout: float = _setting(
        "AIRFLOW_TOTAL_TIMEOUT", 15.0, "Seconds that one call may take in all.", gt=0, le=600
    )
    airflow_connections: int = _setting(
        "AIRFLOW_CONNECTIONS",
        8,
        "How many requests to Airflow may be under way at once for requests to this service that change something; reads and the worker"
        " have two each beside them. An API server of 3.x stands still at more than about 15.",
        ge=1,
        le=500,
    )
    airflow_attempts: int = _setting(
        "AIRFLOW_ATTEMPTS",
        3,
        "How often a call is made whose repeat is harmless, while Airflow fails in a way that may pass; all within AIRFLOW_TOTAL_TIMEOUT.",
        ge=1,
        le=10,
    )
    airflow_look_timeout: float = _setting(
        "AIRFLOW_LOOK_TIMEOUT",
        0.5,
        "Seconds that a read may wait for Airflow, where no worker follows it; then it is answered as last seen, and says so.",
        gt=0,
        le=60,
    )
    breaker_window: int = _setting(
        "AIRFLOW_BREAKER_WINDOW", 20, "How many of the last calls the circuit breaker judges.", ge=1, le=10_000
    )
    breaker_minimum: int = _setting(
        "AIRFLOW_BREAKER_MINIMUM", 10, "How many calls there must be before it judges.", ge=1, le=10_000
    )
    breaker_failure_rate: float = _setting(
        "AIRFLOW_BREAKER_FAILURE_RATE", 0.5, "The share of failures at which it opens.", gt=0, le=1
    )
    breaker_slow_seconds: float = _setting(
        "AIRFLOW_BREAKER_SLOW_SECONDS", 5.0, "Seconds from which on a call is slow.", gt=0, le=600
    )
    breaker_slow_rate: float = _setting(
        "AIRFLOW_BREAKER_SLOW_RATE", 0.8, "The share of slow calls at which it opens.", gt=0, le=1
    )
    breaker_open_seconds: float = _setting(
        "AIRFLOW_BREAKER_OPEN_SECONDS",
        10.0,
        "Seconds that it stays open: Airflow is not asked, and what needs it is answered 503 at once.",
        gt=0,
        le=3600,
    )
    breaker_probes: int = _setting(
        "AIRFLOW_BREAKER_PROBES", 3, "How many calls it then lets through to decide whether it closes.", ge=1, le=100
    )

    s3_bucket: str = _setting(
        "WORKFLOWS_S3_BUCKET", "data-workflows", "The bucket, unless WORKFLOWS_STORAGE_URL is set."
    )
    storage_url: str | None = _setting(
        "WORKFLOWS_STORAGE_URL",
        None,
        "Where the YAML files are: `s3://bucket/prefix`, `file:///folder`, `memory://`. Default: the bucket, prefix `workflows`."
        " S3 credentials, region and AWS_ENDPOINT_URL come from the environment as boto3 reads it.",
    )
    database_url: str = _setting(
        "WORKFLOWS_DATABASE_URL",
        "sqlite:///workflows.db",
        "`sqlite:///file`, `postgresql://user:password@host/name`, or `memory://`.",
    )
    storage_connect_timeout: float = _setting(
        "WORKFLOWS_STORAGE_CONNECT_TIMEOUT", 3.0, "Seconds to wait for a connection to S3.", gt=0, le=60
    )
    storage_read_timeout: float = _setting(
        "WORKFLOWS_STORAGE_READ_TIMEOUT", 10.0, "Seconds to wait for the next bytes of its answer.", gt=0, le=300
    )
    storage_attempts: int = _setting(
        "WORKFLOWS_STORAGE_ATTEMPTS", 3, "How often a request to S3 is made, the first time included.", ge=1, le=10
    )
    database_connections: int = _setting(
        "WORKFLOWS_DATABASE_CONNECTIONS", 20, "How many database connections are kept at most.", ge=1, le=500
    )
    database_pool_timeout: float = _setting(
        "WORKFLOWS_DATABASE_POOL_TIMEOUT", 5.0, "Seconds to wait for one of them to be free.", gt=0, le=60
    )
    database_connect_timeout: float = _setting(
        "WORKFLOWS_DATABASE_CONNECT_TIMEOUT",
        5.0,
        "Seconds to wait for PostgreSQL to answer a new connection, in whole seconds, for each address that its name has.",
        ge=1,
        le=60,
    )
    database_statement_timeout: float = _setting(
        "WORKFLOWS_DATABASE_STATEMENT_TIMEOUT",
        30.0,
        "Seconds after which PostgreSQL gives a statement up; and after which a PostgreSQL that vanished is given up.",
        gt=0,
        le=600,
    )
    database_lock_timeout: float = _setting(
        "WORKFLOWS_DATABASE_LOCK_TIMEOUT",
        10.0,
        "Seconds to wait for somebody else's transaction; on SQLite, for its only writer.",
        gt=0,
        le=600,
    )
    airflow_api: Literal["auto", "v1", "v2", "memory"] = _setting(
        "WORKFLOWS_AIRFLOW_API",
        "auto",
        "Airflow's API: `v1` (2.11), `v2` (3.x), `auto` (found out by itself), `memory` (a fake, for trying out).",
    )
    loaders: int = _setting(
        "WORKFLOWS_LOADERS", 8, "How many loader files Airflow has (`dli airflow install`).", ge=1, le=99
    )
    allowed_operators: Annotated[tuple[str, ...], BeforeValidator(_words)] = _setting(
        "WORKFLOWS_ALLOWED_OPERATORS",
        DEFAULT_OPERATORS,
        "Patterns of the operator classes that specs may use, separated by commas. A class that changes other workflows, such as"
        " `TriggerDagRunOperator`, needs its whole path here.",
        min_length=1,
    )
    allowed_callables: Annotated[tuple[str, ...], BeforeValidator(_words)] = _setting(
        "WORKFLOWS_ALLOWED_CALLABLES",
        DEFAULT_CALLABLES,
        "Patterns of the functions that `python_callable` may name, separated by commas. Functions of the standard library and of"
        " Airflow need a pattern that starts with the name of their package, such as `json.*`.",
        min_length=1,
    )
    default_task: str | None = _setting(
        "WORKFLOWS_DEFAULT_TASK",
        None,
        'What a workflow without tasks runs: JSON of one task, such as `{"operator": "bash", "bash_command": "…"}`. Read in Airflow.',
    )
    loader_cache: str | None = _setting(
        "WORKFLOWS_LOADER_CACHE",
        None,
        "Folder where Airflow's loader keeps specs. Default: in AIRFLOW_HOME. Read in Airflow.",
    )
    code_execution: CodeExecution = _setting(
        "WORKFLOWS_CODE_EXECUTION",
        CodeExecution.DENY,
        "Whether CODE workflows may be run over the API: `deny` or `allow`.",
    )
    max_yaml_bytes: int = _setting("WORKFLOWS_MAX_YAML_BYTES", 262_144, "Largest YAML of a workflow.", ge=1024)
    max_params_bytes: int = _setting("WORKFLOWS_MAX_PARAMS_BYTES", 65_536, "Largest params of a run, as JSON.", ge=1024)
    max_body_bytes: int = _setting("WORKFLOWS_MAX_BODY_BYTES", 1_048_576, "Largest body of an HTTP request.", ge=1024)
    backfill_max_dates: int = _setting(
        "WORKFLOWS_BACKFILL_MAX_DATES", 1000, "How many dates a backfill may have.", ge=1, le=10_000
    )
    backfill_max_active: int = _setting(
        "WORKFLOWS_BACKFILL_MAX_ACTIVE",
        8,
        "How many runs of a parallel backfill are under way at a time, unless it says otherwise.",
        ge=1,
        le=100,
    )
    register_wait: float = _setting(
        "WORKFLOWS_REGISTER_WAIT", 10.0, "Seconds that a registration waits for Airflow to serve the DAG.", ge=0, le=120
    )
    stop_grace: float = _setting(
        "WORKFLOWS_STOP_GRACE",
        15.0,
        "Seconds that the process of a task may live on after Airflow has marked it as ended; a run is STOPPED only then.",
        ge=0,
        le=600,
    )
    fresh_for: float = _setting(
        "WORKFLOWS_FRESH_FOR",
        3.0,
        "Seconds after a pass of the worker in which reads are answered from what it saw, without asking Airflow.",
        ge=0,
        le=60,
    )
    keep_keys: float = _setting(
        "WORKFLOWS_KEEP_KEYS",
        86_400.0,
        "Seconds for which an `Idempotency-Key` and the answer to it are kept at least.",
        ge=60,
        le=2_592_000,
    )
    auth: Annotated[tuple[AuthKind, ...], BeforeValidator(_words), AfterValidator(_kinds)] = _setting(
        "WORKFLOWS_AUTH",
        "none",
        "How it is found out who asks over HTTP (docs/authentication.md): `none`, which is for loopback only and lets everybody there do"
        " everything, or a list of `token` (API tokens of `dli token create`), `jwt` (JSON web tokens of an identity provider)"
        " and `proxy` (headers of a proxy in front).",
    )
    jwt_issuer: str | None = _setting(
        "WORKFLOWS_JWT_ISSUER", None, "The `iss` of JSON web tokens, letter by letter. Needed for `jwt`.", min_length=1
    )
    jwt_audience: str | None = _setting(
        "WORKFLOWS_JWT_AUDIENCE", None, "What must be in their `aud`: this service. Needed for `jwt`.", min_length=1
    )
    jwt_jwks_url: str | None = _setting(
        "WORKFLOWS_JWT_JWKS_URL",
        None,
        "Where the identity provider publishes its keys (`jwks_uri`): https, or http on loopback. Needed for `jwt`.",
        pattern=r"^https?://",
    )
    jwt_algorithms: Annotated[
        tuple[Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"], ...],
        BeforeValidator(_words),
    ] = _setting(
        "WORKFLOWS_JWT_ALGORITHMS",
        "RS256,ES256",
        "The algorithms that they may be signed with: of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA.",
        min_length=1,
    )
    jwt_leeway: float = _setting(
        "WORKFLOWS_JWT_LEEWAY", 30.0, "Seconds by which the clocks of issuer and service may differ.", ge=0, le=300
    )
    jwt_name_claim: str = _setting(
        "WORKFLOWS_JWT_NAME_CLAIM",
        "sub",
        "The claim whose value is recorded as who asks; one that users cannot choose. `email` counts only where `email_verified` is true.",
        min_length=1,
    )
    jwt_groups_claim: str = _setting(
        "WORKFLOWS_JWT_GROUPS_CLAIM", "groups", "The claim with the groups of who asks: a list of texts.", min_length=1
    )
    proxy_peers: Annotated[tuple[Network, ...], BeforeValidator(_words), AfterValidator(_peers)] = _setting(
        "WORKFLOWS_PROXY_PEERS",
        (),
        "The addresses or networks of the proxies whose headers say who asks, such as `10.0.0.5,fd00::/64`. Needed for `proxy`.",
    )
    proxy_user_header: str = _setting(
        "WORKFLOWS_PROXY_USER_HEADER",
        "X-Forwarded-User",
        "The header in which they send the name of who asks.",
        pattern=_HEADER_NAME,
    )
    proxy_groups_header: str | None = _setting(
        "WORKFLOWS_PROXY_GROUPS_HEADER",
        None,
        "The header in which they send that one's groups, separated by commas, such as `X-Forwarded-Groups`; only if they always set it,"
        " or remove it: else whoever asks could. Default: groups are not read.",
        pattern=_HEADER_NAME,
    )
    grants: Annotated[str, AfterValidator(_grants)] = _setting(
        "WORKFLOWS_GRANTS",
        "[]",
        'What users may do: a JSON list (in the file: a list) of `{"who": …, "role": …, "team": …, "names": …}`. `who` is a name,'
        " `group:NAME` or `*`; `role` is `viewer`, `operator`, `author` or `admin`; the others are optional. Not for API tokens.",
    )
    user: str = _setting(
        "WORKFLOWS_USER",
        _default_user(),
        "The identity recorded for what `dli` does without a server, and for every HTTP request under WORKFLOWS_AUTH `none`. Default: the"
        " user of the process.",
        min_length=1,
        max_length=200,
    )
    host: str = _setting(
        "WORKFLOWS_HOST",
        "127.0.0.1",
        "The address that `dli serve` listens on: an IP address or `localhost`; loopback only under WORKFLOWS_AUTH `none`.",
    )
    port: int = _setting("WORKFLOWS_PORT", 8000, "The port that `dli serve` listens on.", ge=0, le=65535)
    threads: int = _setting(
        "WORKFLOWS_THREADS",
        40,
        "Threads that handle requests. Requests that change something get half of them at most: the others are always there for reads.",
        ge=2,
        le=1000,
    )
    changes_waiting: int = _setting(
        "WORKFLOWS_CHANGES_WAITING",
        80,
        "How many further requests that change something may wait for one of these threads; any more are answered 503 at once.",
        ge=0,
        le=10_000,
    )
    changes_patience: float = _setting(
        "WORKFLOWS_CHANGES_PATIENCE", 5.0, "Seconds that they wait before they are answered 503, too.", gt=0, le=60
    )
    rate: float = _setting(
        "WORKFLOWS_RATE",
        50.0,
        "Requests a second that one caller may send in the long run to one `dli serve`, unless WORKFLOWS_AUTH is `none`; 0 for no limit."
        " More are answered 429 `TOO_MANY_REQUESTS` with `Retry-After`. Whoever is not let in counts by address.",
        ge=0,
        le=100_000,
    )
    rate_burst: int = _setting(
        "WORKFLOWS_RATE_BURST",
        200,
        "Requests that one caller may send at once, after a while without any.",
        ge=1,
        le=100_000,
    )
    head_timeout: float = _setting(
        "WORKFLOWS_HEAD_TIMEOUT",
        10.0,
        "Seconds in which the head of a request has to come, on a new connection and on one that is used again; it is closed otherwise.",
        gt=0,
        le=600,
    )
    body_timeout: float = _setting(
        "WORKFLOWS_BODY_TIMEOUT",
        20.0,
        "Seconds in which the body of a request has to come; 408 otherwise.",
        gt=0,
        le=600,
    )
    drain: float = _setting(
        "WORKFLOWS_DRAIN",
        5.0,
        "Seconds after SIGTERM in which `/readyz` answers 503 and everything else is served as ever, so that a load balancer sends"
        " requests elsewhere before the port is closed.",
        ge=0,
        le=300,
    )
    shutdown_grace: float = _setting(
        "WORKFLOWS_SHUTDOWN_GRACE",
        20.0,
        "Seconds that requests under way, and the worker's pass, then have to end.",
        ge=0,
        le=600,
    )
    worker: bool = _setting("WORKFLOWS_WORKER", default=True, description="Whether `dli serve` runs the worker, too.")
    sweep_interval: float = _setting(
        "WORKFLOWS_SWEEP_INTERVAL", 2.0, "Seconds between two passes of the worker.", gt=0, le=3600
    )
    compare_interval: float = _setting(
        "WORKFLOWS_COMPARE_INTERVAL",
        300.0,
        "Seconds between two full comparisons of database, object store and Airflow; 0 for none.",
        ge=0,
        le=86_400,
    )
    max_waiting: int = _setting(
        "WORKFLOWS_MAX_WAITING",
        1000,
        "Requests that may wait for a change of a run, or follow one, at the same time.",
        ge=1,
        le=100_000,
    )
    sync_interval: float = _setting(
        "WORKFLOWS_SYNC_INTERVAL",
        60.0,
        "Seconds between two syncs of CODE workflows by the worker; 0 for none.",
        ge=0,
        le=86_400,
    )
    sync_max_removed: float = _setting(
        "WORKFLOWS_SYNC_MAX_REMOVED",
        0.3,
        "The largest share of the CODE workflows that one sync removes by itself; up to three go whatever their share.",
        ge=0,
        le=1,
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _setting(
        "WORKFLOWS_LOG_LEVEL", "INFO", "What is logged to standard error."
    )
    worker_metrics_port: int = _setting(
        "WORKFLOWS_WORKER_METRICS_PORT",
        0,
        "The port on WORKFLOWS_HOST where `dli worker` serves `/metrics`, `/healthz` and `/readyz`; 0 for none. Beyond loopback only where"
        " WORKFLOWS_AUTH authenticates callers: `/metrics` then needs a credential, as that of `dli serve` does.",
        ge=0,
        le=65535,
    )
    traces: bool = _setting(
        "WORKFLOWS_TRACES",
        default=False,
        description="Whether `dli serve` and `dli worker` send OpenTelemetry traces (extra `[otel]`), by OTLP over HTTP. Where to, and how"
        " many: OpenTelemetry's own variables, such as `OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_TRACES_SAMPLER`.",
    )
    log_format: Literal["console", "json"] = _setting(
        "WORKFLOWS_LOG_FORMAT", "console", "How: `console` for people, `json` (an object on each line) for machines."
    )

    server_url: str | None = _setting(
        "DLI_SERVER_URL",
        None,
        "The service that `dli workflow …` asks, such as `https://workflows.example.com`. Default: the work is done in this process.",
        pattern=r"^https?://",
    )
    patience: float = _setting(
        "DLI_PATIENCE",
        10.0,
        "Seconds that a command waits, in all, to send a change to that service again when it does not answer or says when to come back.",
        ge=0,
        le=120,
    )
    server_token: SecretStr | None = _setting(
        "DLI_TOKEN", None, "Sent to that service as `Authorization: Bearer …`, over what `dli login` keeps."
    )

    @model_validator(mode="after")
    def _authentication_is_complete(self) -> Self:
        for kind, names in _NEEDED.items():
            if kind in self.auth and (
                missing := [
                    str(type(self).model_fields[name].validation_alias) for name in names if not getattr(self, name)
                ]
            ):
                raise ConfigurationError(f"WORKFLOWS_AUTH asks for {kind}, which needs {', '.join(missing)}")
        return self

    @property
    def grant_rules(self) -> tuple[GrantRule, ...]:
        """``WORKFLOWS_GRANTS``, read."""
        return read_grants(self.grants)

    @property
    def headers(self) -> dict[str, str]:
        """More headers for requests to Airflow."""
        return _HEADERS.validate_json(self.airflow_headers.get_secret_value()) if self.airflow_headers else {}

    def secrets(self) -> list[str]:
        """Every secret, for those who keep them out of the log."""
        values = [getattr(self, name) for name in type(self).model_fields]
        found = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        return [*found, *self.headers.values(), *filter(None, map(_password_of, (self.database_url, self.storage)))]

    @property
    def changes_at_once(self) -> int:
        """How many requests that change something may have a thread at the same time."""
        return self.threads // 2

    @property
    def authenticates(self) -> bool:
        """Whether it is found out who asks over HTTP."""
        return AuthKind.NONE not in self.auth

    @property
    def storage(self) -> str:
        """The storage URL in force."""
        return self.storage_url or f"s3://{self.s3_bucket}/workflows"

    @property
    def policy(self) -> ServiceConfig:
        """The settings that the core needs."""
        return ServiceConfig(
            rules=SpecRules(
                max_bytes=self.max_yaml_bytes,
                operators=self.allowed_operators,
                callables=self.allowed_callables,
            ),
            loaders=self.loaders,
            register_wait=self.register_wait,
            max_params_bytes=self.max_params_bytes,
            code_execution=self.code_execution,
            stop_grace=self.stop_grace,
            sync_max_removed=self.sync_max_removed,
            backfill_max_dates=self.backfill_max_dates,
            backfill_max_active=self.backfill_max_active,
            fresh_for=self.fresh_for,
            keep_keys=self.keep_keys,
            lease=max(30.0, 2 * self.airflow_total_timeout),
            compare_every=self.compare_interval,
            resend_after=self.airflow_total_timeout + 5.0,
            in_flight_limit=timedelta(seconds=max(30.0, 3 * self.airflow_total_timeout)),
            pause_margin=timedelta(seconds=max(20.0, 5 * self.sweep_interval)),
        )


NAMES: Final[Mapping[str, str]] = {str(field.validation_alias): name for name, field in Settings.model_fields.items()}
"""The environment variable of each field."""


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of this process.

    Raises:
        ConfigurationError: a value is wrong or a key of the file is unknown; the message names it and never shows a secret.
    """
    environment = os.environ if environment is None else environment
    path = environment.get(CONFIG_VARIABLE)
    values = _read_file(Path(path), environment) if path else {}
    values |= {name: environment[name] for name in NAMES if environment.get(name, "") != ""}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in found]
        msg = f"the configuration is wrong: {'; '.join(lines)}"
        raise ConfigurationError(msg) from None


def _read_file(path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings of the file, placeholders expanded; but for those that the environment has, which win anyway."""
    try:
        tree = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        msg = f"{CONFIG_VARIABLE}: cannot read {path}: {error}"
        raise ConfigurationError(msg) from None
    found = _flat(tree, ()) if isinstance(tree, dict) else []
    if unknown := sorted({name for name, _, _ in found} - set(NAMES)):
        msg = f"{path}: unknown settings: {', '.join(unknown)}"
        raise ConfigurationError(msg)
    values: dict[str, Any] = {}
    for name, key, written in found:
        if environment.get(name):
            values[name] = written
            continue
        value = expanded(written, environment, where=f"{path}: {key}")
        if value == "" != written:  # an empty default: not set, as an empty variable
            continue
        # the default task may be written as a mapping, the grants as a list
        is_json = isinstance(value, dict) or (isinstance(value, list) and name == "WORKFLOWS_GRANTS")
        values[name] = json.dumps(value) if is_json else value
    return values


def _flat(tree: Mapping[Any, Any], path: tuple[str, ...]) -> list[tuple[str, str, Any]]:
    """Each setting of the file as ``(variable, key, value)``."""
    found: list[tuple[str, str, Any]] = []
    for key, value in tree.items():
        here = (*path, str(key))
        name = "_".join(here).replace("-", "_").upper()
        if isinstance(value, dict) and name not in NAMES:
            found += _flat(value, here)
        else:
            found.append((name, ".".join(here), value))
    return found


def described(settings: Settings, environment: Mapping[str, str] | None = None) -> list[tuple[str, Any, str]]:
    """Every setting as ``(variable, value, source)``, in order of definition. Secrets, and passwords in URLs, are hidden."""
    environment = os.environ if environment is None else environment
    path = environment.get(CONFIG_VARIABLE)
    in_file = _read_file(Path(path), environment) if path else {}
    found = []
    for name, field in NAMES.items():
        value = getattr(settings, field)
        if isinstance(value, SecretStr):
            value = MASK
        elif isinstance(value, str):
            value = redact(value)
        elif isinstance(value, tuple):
            value = ",".join(map(str, value))
        source = "environment" if environment.get(name) else "file" if name in in_file else "default"
        found.append((name, value, source))
    return found
