"""The public keys of the identity provider (RFC 7517), from the one configured URL only."""

from __future__ import annotations

import json
import logging
import time
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, Any, Final

import httpx
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from workflow_adapters.http.deadline import time_limit
from workflow_adapters.http.exchange import Connections, OutOfTimeError, UnreadableError, checked_url, exchange
from workflow_core.domain.names import quoted
from workflow_core.errors import ConfigurationError, IdentityProviderUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_log = logging.getLogger(__name__)

FETCH_TIME: Final = 5.0
"""Seconds for one fetch as a whole."""
MAX_BODY: Final = 262_144
"""Maximum bytes of a key set."""
COOL_DOWN: Final = 10.0
"""Minimum seconds between two fetches for unknown keys."""
RENEW_AFTER: Final = 300.0
"""Seconds after which known keys are fetched again, so that a removed key becomes invalid."""
RENEW_AGAIN: Final = 60.0
"""Seconds between two attempts to renew the keys; the old keys stay valid until one succeeds."""
MAX_WAITING: Final = 8
"""Maximum number of requests that wait for a running fetch, each in a thread that other requests need."""
MIN_RSA_BITS: Final = 2048

_NEEDS: Final[Mapping[str, tuple[str, str | None]]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""Key type and curve of each algorithm."""

ALGORITHMS: Final = tuple(_NEEDS)
"""The algorithms that may be configured: only signatures by a private key, never HS256 or none."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

Keys = dict[tuple[str, str], PyJWK]
"""Keys by id and algorithm: a key is valid for one algorithm only."""


class KeySet:
    """A key set, safe for many threads.

    An unknown key makes one thread fetch the set again, at most once in :data:`COOL_DOWN`.
    """

    def __init__(self, url: str, algorithms: Sequence[str], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._url = checked_url(url, "WORKFLOWS_JWT_JWKS_URL")
        if httpx.URL(self._url).scheme != "https" and httpx.URL(self._url).host not in _LOOPBACK:
            raise ConfigurationError(
                "WORKFLOWS_JWT_JWKS_URL must be https: an attacker who can change its content can impersonate any user."
            )
        self._algorithms = tuple(algorithms)
        self._monotonic = monotonic
        self._http = Connections(
            self._url, headers={}, connect_timeout=FETCH_TIME, read_timeout=FETCH_TIME, connections=1
        )
        self._fetching = Lock()
        self._waiting = BoundedSemaphore(MAX_WAITING)
        self._keys: Keys = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._has_failed = True

    def key(self, key_id: str, algorithm: str) -> PyJWK | None:
        """Return the key with this id for this algorithm; None if there is none.

        Raises:
            IdentityProviderUnavailable: The key is unknown, and the set cannot be fetched now.
        """
        wanted = (key_id, algorithm)
        if wanted not in self._keys:
            self._fetch(at_most_every=COOL_DOWN, wait=True)
            if wanted not in self._keys and self._has_failed:
                raise IdentityProviderUnavailable("Could not fetch the identity provider's keys; see the log.")
        elif self._age() > RENEW_AFTER:
            self._fetch(at_most_every=RENEW_AGAIN, wait=False)
        return self._keys.get(wanted)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._monotonic() - self._fetched_at

    def _fetch(self, *, at_most_every: float, wait: bool) -> None:
        """Fetch the set unless it was tried within ``at_most_every``.

        If another thread fetches it, ``wait`` for that, or return.
        """
        if self._fetching.acquire(blocking=False):
            try:
                if self._tried_at is None or self._monotonic() - self._tried_at >= at_most_every:
                    self._try()
            finally:
                self._fetching.release()
        elif wait:
            if not self._waiting.acquire(blocking=False):
                raise IdentityProviderUnavailable("Too many requests wait for the identity provider's keys.")
            try:
                if self._fetching.acquire(timeout=FETCH_TIME + 1):
                    self._fetching.release()
            finally:
                self._waiting.release()

    def _try(self) -> None:
        """Fetch the set; if the fetch fails, the previous set stays."""
        self._tried_at = self._monotonic()
        try:
            keys = usable_keys(self._answer(), self._algorithms)
        except (httpx.HTTPError, OutOfTimeError, UnreadableError, ValueError) as error:
            self._has_failed = True
            reason = str(error) if isinstance(error, ValueError) else type(error).__name__
            _log.warning("could not fetch the keys at %s: %s", quoted(self._url, limit=200), reason)
            return
        self._keys, self._fetched_at, self._has_failed = keys, self._monotonic(), False

    def _answer(self) -> bytes:
        with time_limit(FETCH_TIME):
            response, body = exchange(self._http, self._http.request("GET", self._url), changes=False)
        if response.status_code != httpx.codes.OK:  # also for a redirect: only the configured URL is trusted
            raise ValueError(f"HTTP {response.status_code}")
        if len(body) > MAX_BODY:
            raise ValueError(f"more than {MAX_BODY} bytes")
        return body


def usable_keys(body: bytes, algorithms: Sequence[str]) -> Keys:
    """Return the keys of a JWK set for these algorithms, without those that are too short or not for signatures.

    Raises:
        ValueError: The body is not a JWK set, or none of its keys is usable.
    """
    try:
        listed = list(json.loads(body)["keys"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("this is not a JWK set") from error
    keys: Keys = {}
    for jwk in listed:
        for algorithm in algorithms:
            key = _key(jwk, algorithm)
            if key is not None:
                keys.setdefault((jwk["kid"], algorithm), key)
    if not keys:
        raise ValueError("it has no usable key")
    return keys


def _key(jwk: Any, algorithm: str) -> PyJWK | None:
    kind, curve = _NEEDS[algorithm]
    if not isinstance(jwk, dict) or not isinstance(jwk.get("kid"), str) or "d" in jwk or jwk.get("kty") != kind:
        return None
    if curve is not None and jwk.get("crv") != curve:
        return None
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        key = PyJWK(jwk, algorithm)
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    return None if kind == "RSA" and key.key.key_size < MIN_RSA_BITS else key
