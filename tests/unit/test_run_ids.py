"""Where to look for a free run id first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from workflow_core.usecases.run_ids import REMEMBERED, RunIds

AT = datetime(2026, 1, 1, 10, tzinfo=UTC)


def test_each_run_of_a_second_gets_an_id_of_its_own():
    """The first without a number, and every workflow and every second for itself."""
    ids = RunIds()
    given = [ids.next("a.b", AT), ids.next("a.b", AT), ids.next("a.c", AT), ids.next("a.b", AT + timedelta(seconds=1))]
    assert given == ["a.b_20260101_100000", "a.b_20260101_100000_2", "a.c_20260101_100000", "a.b_20260101_100001"]
    assert ids.next("a.b", AT) == "a.b_20260101_100000_3"


def test_only_the_latest_seconds_are_remembered():
    """What was not asked for lately is forgotten, so that memory does not grow; the database says what is free."""
    ids = RunIds()
    ids.next("a.b", AT)
    for second in range(REMEMBERED):
        ids.next("a.c", AT + timedelta(seconds=second))
    assert ids.next("a.b", AT) == "a.b_20260101_100000"
