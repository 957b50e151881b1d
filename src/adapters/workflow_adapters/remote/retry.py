"""Decides when a change is sent again: the service does it once for its idempotency key, however often it is sent."""

from __future__ import annotations

import random
from http import HTTPStatus
from time import sleep
from typing import TYPE_CHECKING, Final

import httpx

from workflow_adapters.http.deadline import left
from workflow_adapters.http.exchange import NEVER_SENT
from workflow_core.errors import DatabaseOutcomeUnknown, KeyInUse

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAUSES: Final = (0.1, 0.5, 2.0)
"""Seconds before each repeat of a request that got no response."""
_RETRY_STATUSES: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_NO_ANSWER: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
)


class RetryPolicy:
    """Decides whether one call is sent again: while no response comes, and where the server specifies a delay
    (``Retry-After``).

    Retries end after ``patience`` seconds of waiting in total, or when the call would run out of time. ``is_unknown``:
    one of the requests may have arrived, and got no response.
    """

    def __init__(self, patience: float) -> None:
        self.is_unknown = False
        self._patience = patience
        self._pauses: Iterator[float] = iter(_PAUSES)

    def after_failure(self, error: httpx.HTTPError | httpx.InvalidURL) -> bool:
        """Wait after a request that got no response; return whether to send it again."""
        self.is_unknown |= not isinstance(error, NEVER_SENT)
        if not isinstance(error, _NO_ANSWER):
            return False
        return self._waited(next(self._pauses, None))

    def after_answer(self, response: httpx.Response, body: bytes) -> bool:
        """Wait after a response that may differ later; return whether to send the request again."""
        in_use = response.status_code == HTTPStatus.CONFLICT and KeyInUse.code.encode() in body
        self.is_unknown |= in_use or DatabaseOutcomeUnknown.code.encode() in body
        delay = response.headers.get("Retry-After", "")
        if not (in_use or response.status_code in _RETRY_STATUSES) or not (delay.isascii() and delay.isdigit()):
            return False
        return self._waited(int(delay))

    def _waited(self, seconds: float | None) -> bool:
        if seconds is None:
            return False
        seconds *= random.uniform(1.0, 1.2)  # noqa: S311 - so that clients do not retry at the same moment
        time_left = left()
        if seconds > self._patience or (time_left is not None and seconds >= time_left):
            return False
        self._patience -= seconds
        sleep(seconds)
        return True
