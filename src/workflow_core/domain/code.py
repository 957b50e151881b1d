"""The objects that CI pipelines publish as CODE, as last read, and the result of a sync."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.errors import Problem


@frozen(kw_only=True)
class CodeObject:
    """One object below ``code/`` as last read, so that it is read again only after a change.

    ``problems`` are the problems of its spec; empty: it became a workflow. ``checked_by`` names the rules of that check.
    ``version`` rises with every save (optimistic locking); 0: not saved yet.
    """

    dataset_name: str
    etag: str
    seen_at: datetime
    checked_by: str
    problems: tuple[Problem, ...] = ()
    version: int = 0


@frozen(kw_only=True)
class FailedObject:
    """A published object whose YAML is not a valid workflow, and its problems."""

    dataset_name: str
    url: str
    problems: tuple[Problem, ...]


@frozen(kw_only=True)
class SkippedChange:
    """A change in the objects that this sync did not apply, and the reason."""

    dataset_names: tuple[str, ...]
    reason: str


@frozen(kw_only=True)
class SyncReport:
    """The changes that a sync made, or would make, by dataset name.

    A workflow is in one of ``added``, ``changed``, ``removed``, ``overridden`` (CODE replaced MANUAL) and ``restored`` (MANUAL
    replaced CODE). ``failed`` are all objects that are refused now, including those refused before; ``unchanged`` counts the others.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    overridden: tuple[str, ...]
    restored: tuple[str, ...]
    failed: tuple[FailedObject, ...]
    guarded: tuple[SkippedChange, ...]
    unchanged: int
    dry_run: bool
