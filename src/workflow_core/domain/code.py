"""What has been seen of the objects that CI pipelines publish as CODE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.errors import Problem


@frozen(kw_only=True)
class CodeObject:
    """One object below ``code/`` as it was read last, so that it is read again only when it has changed.

    ``problems`` say what is wrong with it; empty: a workflow was made of it. ``checked_by`` names the rules under which that was
    found. ``version`` rises with every save (optimistic locking); 0: not saved yet.
    """

    dataset_name: str
    etag: str
    seen_at: datetime
    checked_by: str
    problems: tuple[Problem, ...] = ()
    version: int = 0
