"""What has been seen of the objects that CI pipelines publish as CODE, and what a sync has made of them."""

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


@frozen(kw_only=True)
class FailedObject:
    """A published object that no workflow can be made of as it is, and why."""

    dataset_name: str
    url: str
    problems: tuple[Problem, ...]


@frozen(kw_only=True)
class HeldBack:
    """What this sync did not do though the objects say so, and why."""

    dataset_names: tuple[str, ...]
    reason: str


@frozen(kw_only=True)
class SyncReport:
    """What a sync did, or would do, each by dataset name.

    A workflow stands in one of ``added``, ``changed``, ``removed``, ``overridden`` (CODE took the place of MANUAL) and ``restored``
    (MANUAL came back). ``failed`` are all objects that are refused now, those refused before included; ``unchanged`` counts the others.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    overridden: tuple[str, ...]
    restored: tuple[str, ...]
    failed: tuple[FailedObject, ...]
    guarded: tuple[HeldBack, ...]
    unchanged: int
    dry_run: bool
