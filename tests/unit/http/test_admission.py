"""The gate that requests pass which change something."""

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


def test_who_waits_gets_the_place() -> None:
    """As soon as it is free."""

    async def scene() -> None:
        found, done = gate(), asyncio.Event()
        first = asyncio.create_task(_hold(found, done))
        await asyncio.sleep(0)
        second = asyncio.create_task(_hold(found, done))
        await asyncio.sleep(0)
        assert not second.done()
        done.set()
        await asyncio.gather(first, second)

    asyncio.run(scene())


def test_when_enough_wait_the_next_is_refused_at_once() -> None:
    """It does not wait, and learns when to come back; those who wait are not disturbed."""

    async def scene() -> None:
        found, done = gate(), asyncio.Event()
        tasks = [asyncio.create_task(_hold(found, done)) for _ in range(2)]
        await asyncio.sleep(0)
        began = time.monotonic()
        with pytest.raises(AirflowUnavailable) as refused:
            await _hold(found, done)
        assert time.monotonic() - began < 1
        assert refused.value.retry_after == 1.0
        done.set()
        await asyncio.gather(*tasks)

    asyncio.run(scene())


def test_nobody_waits_for_longer_than_its_patience() -> None:
    """Then it is refused, and its place in the line is free again."""

    async def scene() -> None:
        found, done = gate(patience=0.02), asyncio.Event()
        first = asyncio.create_task(_hold(found, done))
        await asyncio.sleep(0)
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(AirflowUnavailable):
                await _hold(found, done)
            assert time.monotonic() - began >= 0.019
        done.set()
        await first
        await _hold(found, done)

    asyncio.run(scene())


def test_nobody_waits_while_the_breaker_is_open() -> None:
    """What keeps the places then is waiting for Airflow; but where there is a place, what needs no Airflow is done."""

    async def scene() -> None:
        found, done = gate(state=BreakerState.OPEN), asyncio.Event()
        first = asyncio.create_task(_hold(found, done))
        await asyncio.sleep(0)
        began = time.monotonic()
        with pytest.raises(AirflowUnavailable):
            await _hold(found, done)
        assert time.monotonic() - began < 1
        done.set()
        await first

    asyncio.run(scene())


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reads_pass_by(method: str) -> None:
    """However full it is."""

    async def scene() -> None:
        seen: list[str] = []

        async def app(scope: Any, _receive: Any, _send: Any) -> None:
            seen.append(scope["method"])

        found, done = gate(waiting=0), asyncio.Event()
        first = asyncio.create_task(_hold(found, done))
        await asyncio.sleep(0)
        passed: Any = found.middleware(app)
        await passed({"type": "http", "method": method}, None, None)
        with pytest.raises(AirflowUnavailable):
            await passed({"type": "http", "method": "POST"}, None, None)
        assert seen == [method]
        done.set()
        await first

    asyncio.run(scene())


async def _hold(found: Gate, done: asyncio.Event) -> None:
    async with found.place():
        await done.wait()
