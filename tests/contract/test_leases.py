"""Leases acquired by several processes at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.claims import contest

if TYPE_CHECKING:
    from pathlib import Path

    from devstack.postgres import LocalPostgres

CLAIMS = 1000


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_no_lease_is_acquired_twice(database: str, postgres: LocalPostgres, tmp_path: Path) -> None:
    """If four processes acquire the same keys, exactly one gets each; ``make bench-claims`` repeats this with 100,000 keys."""
    url = postgres.create_database("claims") if database == "postgresql" else f"sqlite:///{tmp_path}/claims.db"
    counts, _, _ = contest(url, claims=CLAIMS)
    assert len(counts) == CLAIMS
    assert set(counts.values()) == {1}
