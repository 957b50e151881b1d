"""Tests of the admission gate, which limits concurrent requests that change something."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from workflow_core.errors import AirflowUnavailable
from workflow_core.ports.airflow import BreakerState
from workflow_entrypoints.http.admission import Gate


def gate(*, at_once: int = 1, waiting: int = 1, patience: float = 10.0, state: BreakerState | None = None) -> Gate:
    return Gate(at_once=at_once, waiting=waiting, patience=patience, breaker=lambda: state)


def test_a_waiting_request_gets_the_slot_when_it_is_free() -> None:
    """A waiting request is admitted as soon as a slot is free."""

    async def scene() -> None:
        slots, done = gate(), asyncio.Event()
        first = asyncio.create_task(_hold(slots, done))
        await asyncio.sleep(0)
        second = asyncio.create_task(_hold(slots, done))
        await asyncio.sleep(0)
        assert not second.done()
        done.set()
        await asyncio.gather(first, second)

    asyncio.run(scene())


def test_a_request_beyond_the_queue_limit_is_rejected_at_once() -> None:
    """When the queue is full, a further request is rejected without waiting and with ``retry_after``; the queued
    requests are unaffected.
    """

    async def scene() -> None:
        slots, done = gate(), asyncio.Event()
        tasks = [asyncio.create_task(_hold(slots, done)) for _ in range(2)]
        await asyncio.sleep(0)
        began = time.monotonic()
        with pytest.raises(AirflowUnavailable) as refused:
            await _hold(slots, done)
        assert time.monotonic() - began < 1
        assert refused.value.retry_after == 1.0
        done.set()
        await asyncio.gather(*tasks)

    asyncio.run(scene())


def test_a_request_waits_no_longer_than_the_timeout() -> None:
    """A request that waits longer than the timeout is rejected, and its place in the queue becomes free."""

    async def scene() -> None:
        slots, done = gate(patience=0.02), asyncio.Event()
        first = asyncio.create_task(_hold(slots, done))
        await asyncio.sleep(0)
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(AirflowUnavailable):
                await _hold(slots, done)
            assert time.monotonic() - began >= 0.019
        done.set()
        await first
        await _hold(slots, done)

    asyncio.run(scene())


def test_no_request_queues_while_the_breaker_is_open() -> None:
    """Slots are then held by requests that wait for Airflow, so further requests are rejected; with a free slot, a
    request that needs no Airflow is admitted.
    """

    async def scene() -> None:
        slots, done = gate(state=BreakerState.OPEN), asyncio.Event()
        first = asyncio.create_task(_hold(slots, done))
        await asyncio.sleep(0)
        began = time.monotonic()
        with pytest.raises(AirflowUnavailable):
            await _hold(slots, done)
        assert time.monotonic() - began < 1
        done.set()
        await first

    asyncio.run(scene())


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reads_bypass_the_gate(method: str) -> None:
    """Reads pass even when the gate is full."""

    async def scene() -> None:
        seen: list[str] = []

        async def app(scope: Any, _receive: Any, _send: Any) -> None:
            seen.append(scope["method"])

        slots, done = gate(waiting=0), asyncio.Event()
        first = asyncio.create_task(_hold(slots, done))
        await asyncio.sleep(0)
        passed: Any = slots.middleware(app)
        await passed({"type": "http", "method": method}, None, None)
        with pytest.raises(AirflowUnavailable):
            await passed({"type": "http", "method": "POST"}, None, None)
        assert seen == [method]
        done.set()
        await first

    asyncio.run(scene())


async def _hold(slots: Gate, done: asyncio.Event) -> None:
    async with slots.place():
        await done.wait()
