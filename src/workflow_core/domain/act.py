"""What somebody asked for and got, as it is recorded in the transaction of the change that it makes."""

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
    """What can be asked for that changes something. ``PUBLISH`` and ``WITHDRAW`` are what a sync takes up of one object."""

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
    """Who asked for what, when, and what it is about: a run, a backfill, a workflow, or (a sync) all of it.

    ``before`` and ``after`` are what changed, as JSON; both None where nothing did, the former None for what is new.
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
        """The id of what was made or changed: enough to find it again and to tell of it."""
        return self.run_id or self.backfill_id or (str(self.workflow_id) if self.workflow_id else "")


def on_workflow(
    caller: Caller, action: Action, at: datetime, after: Workflow, *, before: Workflow | None = None
) -> AuditEntry:
    """What makes a workflow, or makes ``before`` to ``after``."""
    was, becomes = difference(None if before is None else facts_of_workflow(before), facts_of_workflow(after))
    return AuditEntry(
        caller=caller,
        action=action,
        at=at,
        dataset_name=after.dataset_name,
        workflow_id=after.id,
        before=was,
        after=becomes,
    )


def on_run(caller: Caller, action: Action, at: datetime, after: Run, *, before: Run | None = None) -> AuditEntry:
    """What makes a run, or makes ``before`` to ``after``."""
    was, becomes = difference(None if before is None else facts_of_run(before), facts_of_run(after))
    return AuditEntry(
        caller=caller,
        action=action,
        at=at,
        dataset_name=after.dataset_name,
        workflow_id=after.workflow_id,
        run_id=after.run_id,
        before=was,
        after=becomes,
    )


def on_backfill(
    caller: Caller, action: Action, at: datetime, after: Backfill, *, before: Backfill | None = None
) -> AuditEntry:
    """What makes a backfill, or makes ``before`` to ``after``."""
    was, becomes = difference(None if before is None else facts_of_backfill(before), facts_of_backfill(after))
    return AuditEntry(
        caller=caller,
        action=action,
        at=at,
        dataset_name=after.dataset_name,
        workflow_id=after.workflow_id,
        backfill_id=after.backfill_id,
        before=was,
        after=becomes,
    )


def on_token(caller: Caller, action: Action, at: datetime, after: Token, *, before: Token | None = None) -> AuditEntry:
    """What makes an API token, or makes ``before`` to ``after``; both facts name it by its id."""
    was, becomes = difference(None if before is None else facts_of_token(before), facts_of_token(after))
    named = {"token": after.id}
    return AuditEntry(
        caller=caller,
        action=action,
        at=at,
        before=None if was is None else named | dict(was),
        after=None if becomes is None else named | dict(becomes),
    )


@frozen(kw_only=True)
class AuditEvent:
    """An act as it is kept: ``who`` is the name of the caller."""

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
    """Which acts to list; None means any. From ``since`` (included) until ``until`` (not included). With ``visible``, only acts on
    a name of which every workflow that ever had it is visible to whoever asks.
    """

    dataset_name: str | None = None
    action: Action | None = None
    who: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    visible: Visibility | None = None


def audit_event(act: AuditEntry, event_id: UUID) -> AuditEvent:
    """The act as it is to be kept."""
    return AuditEvent(
        id=event_id,
        at=act.at,
        who=act.caller.name,
        action=act.action,
        via=act.caller.via,
        dataset_name=act.dataset_name,
        run_id=act.run_id,
        backfill_id=act.backfill_id,
        address=act.caller.address,
        request_id=act.caller.request_id,
        before=act.before,
        after=act.after,
    )


@frozen(kw_only=True)
class KeyRecord:
    """What is kept of a key: whose request came with it (``scope``), what it asked for, what it made, and what was answered (None: not
    yet). ``answer`` is kept and given back as it is.
    """

    scope: str
    key: str
    fingerprint: str
    attempt: UUID
    action: Action
    subject: str
    at: datetime
    answer: str | None = None


def key_record(act: AuditEntry | None) -> KeyRecord | None:
    """What is to be kept of the key that this was asked for with; None if there was none."""
    if act is None or act.caller.key is None:
        return None
    key = act.caller.key
    return KeyRecord(
        scope=act.caller.name,
        key=key.text,
        fingerprint=key.fingerprint,
        attempt=key.attempt,
        action=act.action,
        subject=act.subject,
        at=act.at,
    )
