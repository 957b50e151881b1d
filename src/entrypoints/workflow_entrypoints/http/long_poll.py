"""Requests that wait for a change of a run: no thread is held for them, and one question to the database serves all."""

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
"""Seconds between two looks at the versions of what is waited for."""

HEARTBEAT: Final = 15.0
"""Seconds after which a stream without events says that it is there: proxies close what is silent."""

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
    """All who wait in this process.

    Args:
        versions: asks for the versions of runs; called in a thread, for all that are waited for at once.
        limit: so many may wait at the same time.
        is_over: whether the process is about to end: then nobody waits any more.
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
        """How many wait now."""
        return len(self._waiters)

    async def version(self, run_id: str) -> int | None:
        """The version of a run now; None if there is none."""
        return (await sync_to_thread(self._versions, [run_id])).get(run_id)

    def admit(self) -> None:
        """Return if one more may wait; raises :class:`TooManyWaiting` otherwise."""
        if len(self._waiters) >= self._limit:
            raise TooManyWaiting(self._limit)

    async def changed(self, run_id: str, known: int | None, seconds: float) -> int | None:
        """The version of a run as soon as it is not ``known``, or when the time is over; None if the process is about to end.

        Raises:
            TooManyWaiting: as many as may wait do.
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
        asked = {waiter.run_id for waiter in self._waiters}
        try:
            versions = await sync_to_thread(self._versions, asked)
        except Unavailable as error:
            _log.warning("%d are kept waiting: %s", len(self._waiters), error.message)
            return
        for waiter in self._waiters:
            version = versions.get(waiter.run_id)
            if waiter.run_id in asked and version != waiter.known:
                waiter.wake(version)


def preferred_wait(header: str | None, most: int) -> int:
    """The seconds of ``Prefer: wait=30`` (RFC 7240, section 4.3), at most ``most``; 0 without one. It is a wish: what makes no sense
    is passed over.
    """
    found = _PREFERRED.search(header or "")
    return min(int(found.group(1)), most) if found else 0


def version_of(event_id: str | None) -> int | None:
    """The version in the id of one of our events; None if it is anything else."""
    found = _VERSION.match(event_id or "")
    return int(found[0]) if found else None


async def events_of(api: WorkflowApi, waiting: Waiting, run_id: str, known: int | None) -> AsyncIterator[str]:
    """The changes of a run as server-sent events, each with the version as its id, until the run has ended."""
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
