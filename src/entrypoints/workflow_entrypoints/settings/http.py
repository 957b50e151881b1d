"""Settings of the HTTP server."""

from __future__ import annotations

from workflow_entrypoints.settings.fields import SettingsGroup, setting


class HttpSettings(SettingsGroup):
    """Where ``dli serve`` listens, and how much it accepts."""

    host: str = setting(
        "WORKFLOWS_HOST",
        "127.0.0.1",
        "The address that `dli serve` listens on: an IP address or `localhost`; loopback only under WORKFLOWS_AUTH `none`.",
    )
    port: int = setting("WORKFLOWS_PORT", 8000, "The port that `dli serve` listens on.", ge=0, le=65535)
    threads: int = setting(
        "WORKFLOWS_THREADS",
        40,
        "Threads that handle requests. Requests that change something get at most half of them: the others are always free for reads.",
        ge=2,
        le=1000,
    )
    changes_waiting: int = setting(
        "WORKFLOWS_CHANGES_WAITING",
        80,
        "Further requests that change something that may wait for one of these threads; the next ones get 503 at once.",
        ge=0,
        le=10_000,
    )
    changes_patience: float = setting(
        "WORKFLOWS_CHANGES_PATIENCE", 5.0, "Seconds that they wait before they also get 503.", gt=0, le=60
    )
    rate: float = setting(
        "WORKFLOWS_RATE",
        50.0,
        "Sustained requests per second that one `dli serve` accepts from one caller, unless WORKFLOWS_AUTH is `none`; 0 for no limit."
        " More get 429 `TOO_MANY_REQUESTS` with `Retry-After`. Unauthenticated requests are counted by address.",
        ge=0,
        le=100_000,
    )
    rate_burst: int = setting(
        "WORKFLOWS_RATE_BURST",
        200,
        "Requests that one caller may send at once after an idle period.",
        ge=1,
        le=100_000,
    )
    head_timeout: float = setting(
        "WORKFLOWS_HEAD_TIMEOUT",
        10.0,
        "Seconds in which the head of a request has to arrive, on a new or a reused connection; otherwise it is closed.",
        gt=0,
        le=600,
    )
    body_timeout: float = setting(
        "WORKFLOWS_BODY_TIMEOUT",
        20.0,
        "Seconds in which the body of a request has to arrive; otherwise 408.",
        gt=0,
        le=600,
    )
    max_body_bytes: int = setting("WORKFLOWS_MAX_BODY_BYTES", 1_048_576, "Largest body of an HTTP request.", ge=1024)
    max_waiting: int = setting(
        "WORKFLOWS_MAX_WAITING",
        1000,
        "Concurrent requests that wait for a change of a run, or follow one.",
        ge=1,
        le=100_000,
    )
    drain: float = setting(
        "WORKFLOWS_DRAIN",
        5.0,
        "Seconds after SIGTERM in which `/readyz` answers 503 and all other requests are served as before, so that a load balancer sends"
        " requests elsewhere before the port is closed.",
        ge=0,
        le=300,
    )

    @property
    def changes_at_once(self) -> int:
        """Concurrent requests that change something: half of the threads."""
        return self.threads // 2
