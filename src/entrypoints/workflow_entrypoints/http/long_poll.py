"""Requests that wait for a change of a run: they hold no thread, and one database query serves all of them."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Final

from attrs import define, field
from litestar.concurrency import sync_to_thread

from workflow_core.errors import TooManyWaiting, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from workflow_core.api import RunStatusAnswer, WorkflowApi

_log = logging.getLogger(__name__)

TICK: Final = 0.5
"""Seconds between two queries for the versions of the awaited runs."""

HEARTBEAT: Final = 15.0
"""Seconds after which a stream without events sends a comment: proxies close silent connections."""

_VERSION: Final = re.compile(r"[0-9]{1,9}\Z")
_PREFERRED: Final = re.compile(r"(?:^|,)\s*wait\s*=\s*(\d{1,4})\s*(?:$|[,;])", re.IGNORECASE)


@define(eq=False)
class _Waiter:
    run_id: str
    known: int | None
    woken: asyncio.Future[int | None] = field(factory=lambda: asyncio.get_running_loop().create_future())

    def wake(self, version: int | None) -> None:
        if not self.woken.done():
            self.woken.set_result(version)


class Waiting:
    """The waiting requests of this process.

    Args:
        versions: Returns the versions of runs. Called in a thread, with all awaited runs at once.
        limit: Maximum number of waiting requests.
        is_over: Whether the process is about to end, so that all waits end.
    """

    def __init__(
        self,
        versions: Callable[[Collection[str]], Mapping[str, int]],
        *,
        limit: int,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._versions = versions
        self._limit = limit
        self._is_over = is_over
        self._waiters: set[_Waiter] = set()
        self._ticker: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """The number of waiting requests."""
        return len(self._waiters)

    async def version(self, run_id: str) -> int | None:
        """The current version of a run; None if there is no such run."""
        return (await sync_to_thread(self._versions, [run_id])).get(run_id)

    def admit(self) -> None:
        """Raise :class:`TooManyWaiting` if no further request may wait."""
        if len(self._waiters) >= self._limit:
            raise TooManyWaiting(self._limit)

    async def changed(self, run_id: str, known: int | None, seconds: float) -> int | None:
        """Return the version of a run as soon as it differs from ``known``, or after ``seconds``.

        None if the process is about to end.

        Raises:
            TooManyWaiting: The maximum number of requests is waiting already.
        """
        self.admit()
        waiter = _Waiter(run_id, known)
        self._waiters.add(waiter)
        try:
            if self._ticker is None or self._ticker.done():
                self._ticker = asyncio.create_task(self._tick())
            return await asyncio.wait_for(waiter.woken, seconds)
        except TimeoutError:
            return known
        finally:
            self._waiters.discard(waiter)

    async def _tick(self) -> None:
        while self._waiters:
            if self._is_over():
                for waiter in self._waiters:
                    waiter.wake(None)
            else:
                await self._wake_changed()
            await asyncio.sleep(TICK)

    async def _wake_changed(self) -> None:
        run_ids = {waiter.run_id for waiter in self._waiters}
        try:
            versions = await sync_to_thread(self._versions, run_ids)
        except Unavailable as error:
            _log.warning("%d requests are kept waiting: %s", len(self._waiters), error.message)
            return
        for waiter in self._waiters:
            version = versions.get(waiter.run_id)
            if waiter.run_id in run_ids and version != waiter.known:
                waiter.wake(version)


def preferred_wait(header: str | None, most: int) -> int:
    """Return the seconds of ``Prefer: wait=30`` (RFC 7240, section 4.3), at most ``most``; 0 without one.

    A preference is not a demand: a malformed one is ignored.
    """
    wait = _PREFERRED.search(header or "")
    return min(int(wait.group(1)), most) if wait else 0


def version_of(event_id: str | None) -> int | None:
    """Return the version in the id of an event of :func:`events_of`; None for any other id."""
    version = _VERSION.match(event_id or "")
    return int(version[0]) if version else None


async def events_of(api: WorkflowApi, waiting: Waiting, run_id: str, known: int | None) -> AsyncIterator[str]:
    """Yield the changes of a run as server-sent events, each with the version as its id, until the run has ended."""
    yield "retry: 2000\n\n"
    while True:
        version = await waiting.changed(run_id, known, HEARTBEAT)
        if version is None:
            return
        if version == known:
            yield ": nothing has changed\n\n"
            continue
        try:
            answer: RunStatusAnswer = await sync_to_thread(api.status, run_id)
        except Unavailable as error:
            _log.warning("%s: %s", run_id, error.message)
            await asyncio.sleep(TICK)
            continue
        known = version
        yield f"id: {version}\nevent: run\ndata: {answer.model_dump_json()}\n\n"
        if answer.status.is_final:
            return
