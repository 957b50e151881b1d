"""POSTs that are repeated until their answer arrives, over a real server and a real database (`make bench-keys` makes more)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.keys import lost_answers
from workflow_adapters.sql import make_engine

if TYPE_CHECKING:
    from pathlib import Path

POSTS = 500


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_lost_answers_change_nothing(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A fifth of the answers is lost; each request has one effect and one answer, however often it was sent."""
    url = f"sqlite:///{tmp_path}/workflows.db"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").create_database("lossy")
    engine = make_engine(url, pool_size=20)
    found = lost_answers(engine, POSTS)
    engine.dispose()
    assert found.problems == []
    assert found.differing == []
    assert dict(found.other) == {}
    assert found.posts == POSTS
    assert found.replayed >= POSTS  # each was compared at least once
    assert found.lost > POSTS / 5
