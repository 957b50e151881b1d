"""Sync CODE workflows from the object store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_core.domain.audit import Action, AuditEntry
from workflow_core.domain.caller import Via
from workflow_core.domain.lease import SYNC
from workflow_core.domain.workflow import SourceType
from workflow_core.usecases.reconcile.code_sync import RENEW_EVERY, CodeSync, SyncCode
from workflow_core.usecases.reconcile.leases import acquire_leadership

if TYPE_CHECKING:
    from workflow_core.domain.code import SyncReport
    from workflow_core.usecases.context import Context


def sync(command: SyncCode, context: Context) -> SyncReport:
    """Import the changes below ``code/``: register, revise and unregister CODE workflows.

    Each object is imported separately. The report contains the problems of an invalid object, which is read again only
    when it has changed. A CODE workflow overrides a MANUAL workflow of the same name, which is kept for later. If the
    listing is empty, or a large share of the workflows is missing from it, nothing is removed unless the command allows
    removals.

    Raises:
        StorageUnavailable, DatabaseUnavailable: the sync ended early. Changes recorded before remain, and the next sync
            continues.
    """
    if command.caller.via is not Via.WORKER and not command.dry_run:
        context.db.audit.append(AuditEntry(caller=command.caller, action=Action.SYNC, at=context.clock.now()))
    recorded = context.db.code_objects.code_objects()  # first: later imports are not removals
    listed = {ref.dataset_name: ref for ref in context.storage.list(SourceType.CODE)}
    code_sync = CodeSync(command=command, context=context, recorded=recorded)
    for position, ref in enumerate(listed.values()):
        code_sync.import_object(ref)
        if position % RENEW_EVERY == 0 and SYNC in context.leaderships:
            acquire_leadership(SYNC, context)
    code_sync.remove_missing(
        [code_object for name, code_object in recorded.items() if name not in listed], listed=len(listed)
    )
    return code_sync.finish()


def sync_in_turn(command: SyncCode, context: Context) -> SyncReport | None:
    """Run :func:`sync` if this worker is or becomes the leader of the sync; None for any other worker."""
    return sync(command, context) if acquire_leadership(SYNC, context) else None
