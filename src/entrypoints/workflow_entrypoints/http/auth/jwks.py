"""The public keys of the identity provider (RFC 7517), from one configured URL and from nowhere else."""

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
"""Seconds that one fetch may take in all."""
MAX_BODY: Final = 262_144
"""Bytes of the largest answer that is believed to be a set of keys."""
COOL_DOWN: Final = 10.0
"""Seconds from one fetch to the next, however many unknown keys are asked for."""
RENEW_AFTER: Final = 300.0
"""Seconds after which known keys are fetched again, so that one that was taken out counts no more."""
RENEW_AGAIN: Final = 60.0
"""Seconds to the next attempt at that, where one has failed; the old keys count meanwhile."""
MAX_WAITING: Final = 8
"""Requests that may wait for a fetch under way, each in a thread that others need."""
MIN_RSA_BITS: Final = 2048

_NEEDS: Final[Mapping[str, tuple[str, str | None]]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""The type and the curve of the keys of each algorithm."""

ALGORITHMS: Final = tuple(_NEEDS)
"""What may be configured: signatures that only the owner of a private key can make. Never HS256 or none."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

Keys = dict[tuple[str, str], PyJWK]
"""By key id and algorithm: a key is used for no other algorithm than its own."""


class KeySet:
    """Keys, for many threads. An unknown one has the set fetched again, by one thread, at most once in :data:`COOL_DOWN`."""

    def __init__(self, url: str, algorithms: Sequence[str], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._url = checked_url(url, "WORKFLOWS_JWT_JWKS_URL")
        if httpx.URL(self._url).scheme != "https" and httpx.URL(self._url).host not in _LOOPBACK:
            raise ConfigurationError(
                "WORKFLOWS_JWT_JWKS_URL must be https: whoever can change what comes from there can be anybody."
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
        """The key of this id for this algorithm; None if there is none.

        Raises:
            IdentityProviderUnavailable: the keys cannot be had now, and it is none of those that are known.
        """
        wanted = (key_id, algorithm)
        if wanted not in self._keys:
            self._fetch(at_most_every=COOL_DOWN, wait=True)
            if wanted not in self._keys and self._has_failed:
                raise IdentityProviderUnavailable("The keys of the identity provider cannot be had; the log tells why.")
        elif self._age() > RENEW_AFTER:
            self._fetch(at_most_every=RENEW_AGAIN, wait=False)
        return self._keys.get(wanted)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._monotonic() - self._fetched_at

    def _fetch(self, *, at_most_every: float, wait: bool) -> None:
        """Fetch the set, unless that was tried just now; if somebody else is at it, ``wait`` for that, or go on."""
        if self._fetching.acquire(blocking=False):
            try:
                if self._tried_at is None or self._monotonic() - self._tried_at >= at_most_every:
                    self._try()
            finally:
                self._fetching.release()
        elif wait:
            if not self._waiting.acquire(blocking=False):
                raise IdentityProviderUnavailable("Too many wait for the keys of the identity provider.")
            try:
                if self._fetching.acquire(timeout=FETCH_TIME + 1):
                    self._fetching.release()
            finally:
                self._waiting.release()

    def _try(self) -> None:
        """Fetch the set; where that fails, the one before stays."""
        self._tried_at = self._monotonic()
        try:
            keys = usable_keys(self._answer(), self._algorithms)
        except (httpx.HTTPError, OutOfTimeError, UnreadableError, ValueError) as error:
            self._has_failed = True
            told = str(error) if isinstance(error, ValueError) else type(error).__name__
            _log.warning("the keys at %s cannot be had: %s", quoted(self._url, limit=200), told)
            return
        self._keys, self._fetched_at, self._has_failed = keys, self._monotonic(), False

    def _answer(self) -> bytes:
        with time_limit(FETCH_TIME):
            response, body = exchange(self._http, self._http.request("GET", self._url), changes=False)
        if response.status_code != httpx.codes.OK:  # a redirect, too: only the configured URL is believed
            raise ValueError(f"HTTP {response.status_code}")
        if len(body) > MAX_BODY:
            raise ValueError(f"more than {MAX_BODY} bytes")
        return body


def usable_keys(body: bytes, algorithms: Sequence[str]) -> Keys:
    """The keys of a JWK set for these algorithms; those that are of no use for signatures, or too short, are passed over.

    Raises:
        ValueError: it is no such set, or nothing in it is of use.
    """
    try:
        found = json.loads(body)
        listed = list(found["keys"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("this is no JWK set") from error
    keys: Keys = {}
    for jwk in listed:
        for algorithm in algorithms:
            key = _key(jwk, algorithm)
            if key is not None:
                keys.setdefault((jwk["kid"], algorithm), key)
    if not keys:
        raise ValueError("no key in it is of use")
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
