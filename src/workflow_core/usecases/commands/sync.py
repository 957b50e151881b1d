"""Sync CODE workflows from the object store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_core.domain.act import Action, AuditEntry
from workflow_core.domain.caller import Via
from workflow_core.domain.lease import SYNC
from workflow_core.domain.workflow import SourceType
from workflow_core.usecases.reconcile.code_sync import HEARD_OF_AFTER, CodeSync, SyncCode
from workflow_core.usecases.reconcile.leases import acquire_leadership

if TYPE_CHECKING:
    from workflow_core.domain.code import SyncReport
    from workflow_core.usecases.context import Context


def sync(command: SyncCode, context: Context) -> SyncReport:
    """Compare ``code/`` with what was seen of it, and record what was added, changed and removed.

    Each object is taken up by itself: what is wrong with one says the report, and it is read again only when it has changed. A name
    that CODE publishes belongs to CODE: a MANUAL workflow of that name is kept below it. An empty listing, or one that lacks a large
    share of the workflows, removes nothing unless the command allows it.

    Raises:
        StorageUnavailable: the listing, or an object, could not be read; what was recorded before stays, and the next sync goes on.
        DatabaseUnavailable: likewise.
    """
    if command.caller.via is not Via.WORKER and not command.dry_run:
        context.db.audit.append(AuditEntry(caller=command.caller, action=Action.SYNC, at=context.clock.now()))
    known = (
        context.db.code_objects.code_objects()
    )  # before the listing: what another sync takes up in between is not gone
    listed = {ref.dataset_name: ref for ref in context.storage.list(SourceType.CODE)}
    work = CodeSync(command=command, context=context, known=known)
    for place, ref in enumerate(listed.values()):
        work.look_at(ref)
        if place % HEARD_OF_AFTER == 0 and SYNC in context.led:
            acquire_leadership(SYNC, context)
    work.drop([seen for name, seen in known.items() if name not in listed], listed=len(listed))
    return work.finish()


def sync_in_turn(command: SyncCode, context: Context) -> SyncReport | None:
    """As :func:`sync`, for workers that do so on a timer: one of them does, and None is what the others get."""
    return sync(command, context) if acquire_leadership(SYNC, context) else None
