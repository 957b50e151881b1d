"""The bulkhead of HTTP: requests that change something never take the threads that reads need.

A waiting request holds no thread, so that a burst is answered late rather than refused. The number of waiting requests
and their time are limited.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from attrs import define, field
from litestar.enums import ScopeType

from workflow_core.errors import AirflowUnavailable
from workflow_core.ports.airflow import BreakerState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from litestar.types import ASGIApp, Receive, Scope, Send

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods of requests that change nothing."""


@define
class Gate:
    """Admit ``at_once`` requests, and let ``waiting`` others wait for up to ``patience`` seconds.

    No request waits while the circuit breaker of Airflow is open: the admitted requests are then waiting for Airflow
    themselves.
    """

    at_once: int
    waiting: int
    patience: float
    breaker: Callable[[], BreakerState | None]
    _in_line: int = 0
    _places: asyncio.Semaphore = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.at_once)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place while the block runs.

        Raises:
            AirflowUnavailable: No place became free. Nothing was done.
        """
        if self._places.locked():
            await self._wait()
        else:
            await self._places.acquire()  # never waits
        try:
            yield
        finally:
            self._places.release()

    async def _wait(self) -> None:
        if self._in_line >= self.waiting or self.breaker() is BreakerState.OPEN:
            raise _full()
        self._in_line += 1
        try:
            async with asyncio.timeout(self.patience):
                await self._places.acquire()
        except TimeoutError:
            raise _full() from None
        finally:
            self._in_line -= 1

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """Let every request that changes something pass the gate before ``app``."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP or scope["method"] in SAFE:
                await app(scope, receive, send)
                return
            async with self.place():
                await app(scope, receive, send)

        return guarded


def _full() -> AirflowUnavailable:
    return AirflowUnavailable("Too many requests wait for Airflow. Nothing was done; try again.", retry_after=1.0)
