"""Leases: who works on what now, so that several workers share the work and do not repeat each other's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

MIRROR: Final = "mirror"
"""The subject of following Airflow's changes."""

SYNC: Final = "sync"
"""The subject of taking up what is published as CODE."""

TIDY: Final = "tidy"
"""The subject of removing what is needed no more; its lease ends by itself, when it is time again."""

COMPARE: Final = "compare"
"""The subject of comparing the three systems in full; its lease, too, ends when it is time again."""


@frozen(kw_only=True)
class Lease:
    """The right of ``owner`` to work on ``lease_key`` until a moment, and beyond it as long as nobody else claims it.

    ``epoch`` rises with every claim of the subject: what is done under an older one comes too late, and changes nothing.
    """

    lease_key: str
    owner: str
    epoch: int
    until: datetime


def workflow_subject(workflow_id: UUID) -> str:
    """The subject of settling a workflow."""
    return f"workflow:{workflow_id}"


def run_subject(run_id: str) -> str:
    """The subject of sending, stopping or repeating a run."""
    return f"run:{run_id}"


def backfill_subject(backfill_id: str) -> str:
    """The subject of driving a backfill."""
    return f"backfill:{backfill_id}"
