"""What somebody asked for and got, as it is recorded in the transaction of the change that it makes."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.caller import Caller
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow


class Action(StrEnum):
    """What can be asked for that changes something."""

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


@frozen(kw_only=True)
class Act:
    """Who asked for what, when, and what it is about: a run, a backfill, a workflow, or (a sync) all of it."""

    caller: Caller
    action: Action
    at: datetime
    dataset_name: str | None = None
    workflow_id: UUID | None = None
    run_id: str | None = None
    backfill_id: str | None = None

    @property
    def subject(self) -> str:
        """The id of what was made or changed: enough to find it again and to tell of it."""
        return self.run_id or self.backfill_id or (str(self.workflow_id) if self.workflow_id else "")


def on_workflow(caller: Caller, action: Action, workflow: Workflow, at: datetime) -> Act:
    """What is about a workflow."""
    return Act(caller=caller, action=action, at=at, dataset_name=workflow.dataset_name, workflow_id=workflow.id)


def on_run(caller: Caller, action: Action, run: Run, at: datetime) -> Act:
    """What is about a run."""
    return Act(
        caller=caller,
        action=action,
        at=at,
        dataset_name=run.dataset_name,
        workflow_id=run.workflow_id,
        run_id=run.run_id,
    )


def on_backfill(caller: Caller, action: Action, backfill: Backfill, at: datetime) -> Act:
    """What is about a backfill."""
    return Act(
        caller=caller,
        action=action,
        at=at,
        dataset_name=backfill.dataset_name,
        workflow_id=backfill.workflow_id,
        backfill_id=backfill.backfill_id,
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


def key_record(act: Act | None) -> KeyRecord | None:
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
