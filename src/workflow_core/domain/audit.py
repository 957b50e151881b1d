"""Audit entries: who changed what, recorded in the transaction of the change."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from attrs import frozen

from workflow_core.domain.facts import difference, facts_of_backfill, facts_of_run, facts_of_token, facts_of_workflow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from workflow_core.domain.authorization import Visibility
    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.caller import Caller, Via
    from workflow_core.domain.run import Run
    from workflow_core.domain.token import Token
    from workflow_core.domain.workflow import Workflow


class Action(StrEnum):
    """An action that changes something. ``PUBLISH`` and ``WITHDRAW`` are what a sync imports of one object."""

    REGISTER = "register"
    RESTORE = "restore"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    UNREGISTER = "unregister"
    RUN = "run"
    STOP = "stop"
    RETRY = "retry"
    BACKFILL = "backfill"
    PAUSE_BACKFILL = "pause_backfill"
    RESUME_BACKFILL = "resume_backfill"
    STOP_BACKFILL = "stop_backfill"
    SYNC = "sync"
    PUBLISH = "publish"
    WITHDRAW = "withdraw"
    CREATE_TOKEN = "create_token"  # noqa: S105 - no secret
    REVOKE_TOKEN = "revoke_token"  # noqa: S105 - no secret


@frozen(kw_only=True)
class AuditEntry:
    """One audited action: the caller, the time, and the run, backfill or workflow that it changed (a sync: none).

    ``before`` and ``after`` are the facts that changed, as JSON. Both are None if nothing changed; ``before`` is None for a new item.
    """

    caller: Caller
    action: Action
    at: datetime
    dataset_name: str | None = None
    workflow_id: UUID | None = None
    run_id: str | None = None
    backfill_id: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None

    @property
    def subject(self) -> str:
        """The id of the item that was created or changed, by which it can be found again."""
        return self.run_id or self.backfill_id or (str(self.workflow_id) if self.workflow_id else "")


def on_workflow(
    caller: Caller, action: Action, at: datetime, after: Workflow, *, before: Workflow | None = None
) -> AuditEntry:
    """Return the entry of a new workflow, or of the change from ``before`` to ``after``."""
    facts_before, facts_after = difference(
        None if before is None else facts_of_workflow(before), facts_of_workflow(after)
    )
    return AuditEntry(
        caller=caller,
        action=action,
        at=at,
        dataset_name=after.dataset_name,
        workflow_id=after.id,
        before=facts_before,
        after=facts_after,
    )


def on_run(caller: Caller, action: Action, at: datetime, after: Run, *, before: Run | None = None) -> AuditEntry:
    """Return the entry of a new run, or of the change from ``before`` to ``after``."""
    facts_before, facts_after = difference(None if before is None else facts_of_run(before), facts_of_run(after))
    return AuditEntry(
        caller=caller,
        action=action,
        at=at,
        dataset_name=after.dataset_name,
        workflow_id=after.workflow_id,
        run_id=after.run_id,
        before=facts_before,
        after=facts_after,
    )


def on_backfill(
    caller: Caller, action: Action, at: datetime, after: Backfill, *, before: Backfill | None = None
) -> AuditEntry:
    """Return the entry of a new backfill, or of the change from ``before`` to ``after``."""
    facts_before, facts_after = difference(
        None if before is None else facts_of_backfill(before), facts_of_backfill(after)
    )
    return AuditEntry(
        caller=caller,
        action=action,
        at=at,
        dataset_name=after.dataset_name,
        workflow_id=after.workflow_id,
        backfill_id=after.backfill_id,
        before=facts_before,
        after=facts_after,
    )


def on_token(caller: Caller, action: Action, at: datetime, after: Token, *, before: Token | None = None) -> AuditEntry:
    """Return the entry of a new API token, or of the change from ``before`` to ``after``. Both contain the token's id."""
    facts_before, facts_after = difference(None if before is None else facts_of_token(before), facts_of_token(after))
    token_id = {"token": after.id}
    return AuditEntry(
        caller=caller,
        action=action,
        at=at,
        before=None if facts_before is None else token_id | dict(facts_before),
        after=None if facts_after is None else token_id | dict(facts_after),
    )


@frozen(kw_only=True)
class AuditEvent:
    """An audit entry as stored. ``who`` is the name of the caller."""

    id: UUID
    at: datetime
    who: str
    action: Action
    via: Via
    dataset_name: str | None = None
    run_id: str | None = None
    backfill_id: str | None = None
    address: str | None = None
    request_id: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@frozen(kw_only=True)
class AuditFilter:
    """The audit entries to list; None matches any.

    ``since`` is inclusive and ``until`` exclusive. With ``visible``, only entries of dataset names for which the caller may view every
    workflow that ever had the name.
    """

    dataset_name: str | None = None
    action: Action | None = None
    who: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    visible: Visibility | None = None


def audit_event(entry: AuditEntry, event_id: UUID) -> AuditEvent:
    """Return the entry in its stored form."""
    return AuditEvent(
        id=event_id,
        at=entry.at,
        who=entry.caller.name,
        action=entry.action,
        via=entry.caller.via,
        dataset_name=entry.dataset_name,
        run_id=entry.run_id,
        backfill_id=entry.backfill_id,
        address=entry.caller.address,
        request_id=entry.caller.request_id,
        before=entry.before,
        after=entry.after,
    )


@frozen(kw_only=True)
class KeyRecord:
    """A stored idempotency key: the caller who used it (``scope``), the action, the id of the created or changed item, and the response.

    ``answer`` None: not answered yet. It is stored and returned without change.
    """

    scope: str
    key: str
    fingerprint: str
    attempt: UUID
    action: Action
    subject: str
    at: datetime
    answer: str | None = None


def key_record(entry: AuditEntry | None) -> KeyRecord | None:
    """Return the record of the idempotency key of the request; None if the request had none."""
    if entry is None or entry.caller.key is None:
        return None
    key = entry.caller.key
    return KeyRecord(
        scope=entry.caller.name,
        key=key.text,
        fingerprint=key.fingerprint,
        attempt=key.attempt,
        action=entry.action,
        subject=entry.subject,
        at=entry.at,
    )
