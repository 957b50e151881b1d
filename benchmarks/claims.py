"""``make bench-claims``: count and time the leases that several workers acquire at once.

Writes ``benchmarks/claims.md``.
Exactly one worker must acquire each lease. The benchmark counts the workers that believe to hold it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from devstack.postgres import LocalPostgres
from workflow_adapters.sql import SqlDatabase, make_engine, upgrade
from workflow_core.usecases.reconcile.leases import CHUNK

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = Path(__file__).resolve().parent / "claims.md"
CLAIMS = 100_000
WORKERS = 4

LOCK_TIMEOUT = 120.0
"""Seconds that a worker waits for SQLite's lock.

SQLite gives the lock to the process that asks at the right moment, not to the one that has waited longest.
Where four processes only acquire leases, one of them may wait for a long time.
"""


def claim_all(url: str, owner: str, seed: int, claims: int) -> list[str]:
    """Try to acquire every lease, in this worker's order; returns the acquired ones."""
    engine = make_engine(url, lock_timeout=LOCK_TIMEOUT)
    port = SqlDatabase(engine)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    subjects = [f"run:{number}" for number in range(claims)]
    random.Random(seed).shuffle(subjects)
    got: list[str] = []
    for first in range(0, claims, CHUNK):
        got += port.leases.acquire(subjects[first : first + CHUNK], owner=owner, at=at, until=at + timedelta(hours=1))
    engine.dispose()
    return got


def contest(url: str, *, claims: int = CLAIMS, workers: int = WORKERS) -> tuple[Counter[str], float, list[int]]:
    """Let processes acquire the same leases at the same time.

    Returns:
        How often each lease was acquired, the seconds taken, and the number of leases of each worker.
    """
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()
    began = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        got = pool.starmap(claim_all, [(url, f"worker {number}", number, claims) for number in range(workers)])
    taken = time.monotonic() - began
    return Counter(subject for some in got for subject in some), taken, [len(some) for some in got]


def row(name: str, found: tuple[Counter[str], float, list[int]], claims: int) -> str:
    counts, taken, shares = found
    twice = sum(1 for count in counts.values() if count > 1)
    return (
        f"| {name} | {claims} | {len(counts)} | {twice} | {', '.join(map(str, shares))} | {taken:.1f} s |"
        f" {len(shares) * claims / taken:,.0f} |"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both contests; exit 1 if a lease was acquired twice, or not at all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", type=int, default=CLAIMS)
    claims: int = parser.parse_args(arguments).claims
    with tempfile.TemporaryDirectory() as directory, LocalPostgres() as postgres:
        found = {
            "PostgreSQL": contest(postgres.create_database("claims"), claims=claims),
            "SQLite": contest(f"sqlite:///{directory}/claims.db", claims=claims),
        }
    lines = [
        "# Leases",
        "",
        (
            f"Written by `make bench-claims` on {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}.\n"
            f"{WORKERS} processes acquire the same leases, {CHUNK} at a time, each in a different order."
        ),
        "",
        "| Database | leases | acquired | acquired twice | by each worker | time | attempts/s |",
        "|---|---|---|---|---|---|---|",
        *[row(name, one, claims) for name, one in found.items()],
        "",
    ]
    print("\n".join(lines))
    if claims == CLAIMS:
        RESULTS.write_text("\n".join(lines), encoding="utf-8")
    return 0 if all(len(one[0]) == claims and set(one[0].values()) == {1} for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
