"""A registered workflow: what is wanted, and how far the other systems are."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from workflow_core.domain.names import dag_id_for
from workflow_core.domain.spec import WorkflowSpec, spec_hash, warnings_of
from workflow_core.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from workflow_core.domain.schedule import FireTime, Schedule


_MAX_DIGITS: Final = 9  # of the number of a revision


class SourceType(StrEnum):
    """Who owns the YAML (specification, section 1.3)."""

    MANUAL = "MANUAL"
    """Registered over this API, which may do everything with it."""
    CODE = "CODE"
    """Published into the object store by a CI pipeline; this API may only pause and unpause it."""


class WorkflowStatus(StrEnum):
    """What is wanted of a workflow; lower case in answers and filters."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"
    """Nothing of it can run: Airflow cannot build its DAG, or it is being unregistered."""


class Phase(StrEnum):
    """How far the object store and Airflow have followed."""

    REGISTERING = "registering"
    """Recorded here; the YAML or the DAG is not confirmed yet. The worker goes on until it is."""
    SERVED = "served"
    """Airflow serves a DAG built from exactly this spec."""
    FAILED = "failed"
    """No DAG can be built from exactly this spec; ``phase_reason`` says why."""
    UNREGISTERING = "unregistering"
    """Somebody has unregistered it; its YAML is still there, or its runs are not all told to stop. It still has its name."""
    LEAVING = "leaving"
    """Unregistered: its name is free. Airflow has not been seen to have dropped the DAG yet."""
    GONE = "gone"
    """Unregistered, and out of Airflow. The row stays for its history."""

    @property
    def has_left(self) -> bool:
        """Whether the name is free for another."""
        return self in {Phase.LEAVING, Phase.GONE}


@frozen(kw_only=True)
class Pause:
    """Who paused a workflow, when, and why."""

    by: str
    at: datetime
    reason: str | None = None


@frozen(kw_only=True)
class Revision:
    """One accepted spec of a workflow: its number, counted from 1 without gaps, and who had it accepted. ``restored_from`` is the
    number of the revision whose text it repeats, if somebody rolled back.
    """

    number: int
    yaml: str
    by: str
    at: datetime
    restored_from: int | None = None


@frozen(kw_only=True)
class RevisionDiff:
    """What changed from one revision to another: a unified diff of their texts, empty if nothing did."""

    dataset_name: str
    before: int
    after: int
    text: str


@frozen(kw_only=True)
class Removal:
    """Who unregistered a workflow, and when."""

    by: str
    at: datetime


@frozen(kw_only=True)
class Shadowed:
    """A MANUAL workflow under a CODE one of the same name: its file is kept, and it comes back when CODE goes."""

    yaml: str
    s3_path: str
    registered_by: str
    registered_at: datetime


@frozen(kw_only=True)
class Workflow:
    """A registered workflow.

    ``spec`` and ``yaml`` are the same document, that of ``revision``; ``yaml`` is the complete text as it is stored.
    ``served_revision`` is the latest one that Airflow was seen to serve (None: none yet). ``airflow_paused`` is the pause
    state last confirmed by Airflow (None: never), ``pause_changed_at`` when another one than there was before was last wanted (None:
    never). ``version`` rises with every saved change (optimistic locking).
    """

    id: UUID
    dataset_name: str
    source_type: SourceType
    spec: WorkflowSpec
    yaml: str
    s3_path: str
    schedule: Schedule
    owner: str
    registered_by: str
    registered_at: datetime
    updated_at: datetime
    pause: Pause | None = None
    phase: Phase = Phase.REGISTERING
    phase_reason: str | None = None
    airflow_paused: bool | None = None
    pause_changed_at: datetime | None = None
    removal: Removal | None = None
    shadowed: Shadowed | None = None
    revision: int = 1
    served_revision: int | None = None
    version: int = 1

    @property
    def dag_id(self) -> str:
        """The id of its DAG in Airflow."""
        return dag_id_for(self.dataset_name)

    @property
    def spec_hash(self) -> str:
        """What a DAG built from exactly this spec carries."""
        return spec_hash(self.yaml)

    @property
    def team(self) -> str | None:
        """The owning team, if one was named."""
        return self.spec.team

    @property
    def status(self) -> WorkflowStatus:
        """Derived, never stored apart from what it follows from."""
        if self.phase not in {Phase.REGISTERING, Phase.SERVED}:
            return WorkflowStatus.DISABLED
        return WorkflowStatus.PAUSED if self.pause else WorkflowStatus.ACTIVE

    @property
    def settled(self) -> bool:
        """Whether the other systems have nothing left to do for it."""
        if self.phase is Phase.SERVED:
            return self.airflow_paused == (self.pause is not None)
        return self.phase in {Phase.FAILED, Phase.GONE}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a caller should know though the request was accepted."""
        found = [*warnings_of(self.spec)]
        if not self.spec.tasks:
            found.append("The spec has no tasks: a run does what WORKFLOWS_DEFAULT_TASK says in Airflow, or nothing.")
        if self.storage_refusal is not None:
            found.append(f"Its YAML is not stored, and the worker tries again: {self.storage_refusal}")
        elif self.phase is Phase.REGISTERING:
            found.append(
                "Airflow does not serve the DAG yet; runs are accepted and submitted as soon as it does."
                if self.served_revision is None
                else f"Airflow still serves revision {self.served_revision}; runs are accepted and submitted as soon as it serves"
                f" revision {self.revision}."
            )
        if self.phase is Phase.FAILED:
            found.append(f"Airflow cannot build the DAG: {self.phase_reason}")
        if self.phase is Phase.UNREGISTERING:
            found.append("It is being unregistered.")
        if self.phase is Phase.SERVED and not self.settled:
            found.append(
                "Airflow has not confirmed the pause state yet; it is applied as soon as Airflow answers"
                + (" and no run is under way." if self.pause else ".")
            )
        return tuple(found)

    @property
    def storage_refusal(self) -> str | None:
        """Why the object store refuses what has to be done there, if it does."""
        return self.phase_reason if self.phase in {Phase.REGISTERING, Phase.UNREGISTERING} else None

    def refused_by_storage(self, reason: str | None) -> Workflow:
        """The object store refuses the YAML, or its removal; None: it does not any more. The phase stays: the worker tries again."""
        return evolve(self, phase_reason=reason)

    def next_run(self, now: datetime) -> datetime | None:
        """The next scheduled fire time after ``now`` (UTC); None while paused or disabled."""
        if self.status is not WorkflowStatus.ACTIVE:
            return None
        start = self.spec.start_date
        return self.schedule.next_after(now) if start is None or start <= now else self.schedule.first_from(start)

    def fires(self, now: datetime, count: int) -> Sequence[FireTime]:
        """The next fire times after ``now`` by its schedule, as if it were neither paused nor disabled."""
        start = self.spec.start_date
        moment = now if start is None or start <= now else start - timedelta(microseconds=1)
        return self.schedule.upcoming(moment, count)

    def served(self, at: datetime) -> Workflow:
        """Airflow serves a DAG with this spec's hash."""
        return evolve(self, phase=Phase.SERVED, phase_reason=None, served_revision=self.revision, updated_at=at)

    def revised(self, draft: Workflow, at: datetime) -> Workflow:
        """The same workflow with the spec of ``draft``: its next revision, which Airflow does not serve yet. What is wanted at run time (a
        pause), and who registered it first, stays.
        """
        return evolve(
            self,
            spec=draft.spec,
            yaml=draft.yaml,
            schedule=draft.schedule,
            owner=draft.owner,
            phase=Phase.REGISTERING,
            phase_reason=None,
            revision=self.revision + 1,
            updated_at=at,
        )

    def failed(self, reason: str, at: datetime) -> Workflow:
        """Airflow cannot build a DAG from this spec."""
        return evolve(self, phase=Phase.FAILED, phase_reason=reason, updated_at=at)

    def paused(self, by: str, reason: str | None, at: datetime) -> Workflow:
        """Paused; one that is already paused stays as it was, but takes a reason where it has none."""
        if self.pause:
            missing = reason is not None and self.pause.reason is None
            return evolve(self, pause=evolve(self.pause, reason=reason), updated_at=at) if missing else self
        return evolve(self, pause=Pause(by=by, at=at, reason=reason), pause_changed_at=at, updated_at=at)

    def unpaused(self, at: datetime) -> Workflow:
        """Not paused; a no-op where it was not. A worker may be applying the pause right now: what Airflow has is not known."""
        if self.pause is None:
            return self
        return evolve(self, pause=None, airflow_paused=None, pause_changed_at=at, updated_at=at)

    def unregistering(self, by: str, at: datetime) -> Workflow:
        """Somebody wants it gone; the first one counts."""
        if self.removal is not None:
            return self
        return evolve(self, phase=Phase.UNREGISTERING, phase_reason=None, removal=Removal(by=by, at=at), updated_at=at)

    def left(self, at: datetime) -> Workflow:
        """Its YAML is gone and its DAG is paused: the name is free."""
        return evolve(self, phase=Phase.LEAVING, phase_reason=None, updated_at=at)

    def gone(self, at: datetime) -> Workflow:
        """Airflow has dropped its DAG, or the DAG belongs to a successor."""
        return evolve(self, phase=Phase.GONE, updated_at=at)

    # CODE: published, broken, and gone again.

    @property
    def overridden(self) -> bool:
        """Whether a MANUAL workflow lies below this CODE one, and comes back when CODE goes."""
        return self.shadowed is not None

    def published(self, draft: Workflow) -> Workflow:
        """CODE has published ``draft``, a workflow of the same name, in the place of this one; the pause stays.

        One that was leaving because its file had gone stays, too.
        """
        taken = self._under_code(s3_path=draft.s3_path, by=draft.registered_by, at=draft.registered_at)
        return evolve(_respelled(taken, draft, draft.updated_at), removal=None)

    def broken(self, reason: str, *, s3_path: str, by: str, at: datetime) -> Workflow:
        """CODE has published what no DAG can be built from, so that none is served; the last good spec stays to be seen."""
        return self._under_code(s3_path=s3_path, by=by, at=at).failed(reason, at)

    def restored(self, below: Shadowed, spec: WorkflowSpec, schedule: Schedule, owner: str, at: datetime) -> Workflow:
        """CODE has gone, and the MANUAL workflow below it comes back, made of its own YAML; the pause stays."""
        draft = evolve(
            self,
            source_type=SourceType.MANUAL,
            spec=spec,
            yaml=below.yaml,
            s3_path=below.s3_path,
            schedule=schedule,
            owner=owner,
            registered_by=below.registered_by,
            registered_at=below.registered_at,
            shadowed=None,
        )
        return _respelled(evolve(draft, yaml=self.yaml), draft, at)

    def reconsidered(self, at: datetime) -> Workflow:
        """What kept Airflow from building its DAG is out of the way."""
        return evolve(self, phase=Phase.REGISTERING, phase_reason=None, updated_at=at)

    def _under_code(self, *, s3_path: str, by: str, at: datetime) -> Workflow:
        if self.source_type is SourceType.CODE:
            return self
        below = Shadowed(
            yaml=self.yaml,
            s3_path=self.s3_path,
            registered_by=self.registered_by,
            registered_at=self.registered_at,
        )
        return evolve(
            self, source_type=SourceType.CODE, s3_path=s3_path, registered_by=by, registered_at=at, shadowed=below
        )

    @property
    def pause_is_pending(self) -> bool:
        """Whether it is paused, and its DAG in Airflow is not yet."""
        return self.phase is Phase.SERVED and self.pause is not None and not self.settled

    def pause_forgotten(self) -> Workflow:
        """Nobody knows whether Airflow has the pause state that is wanted."""
        return evolve(self, airflow_paused=None)

    def found_served(self, at: datetime, *, paused: bool) -> Workflow:
        """Airflow serves its DAG, with the pause state that it has there from before: of an earlier workflow of this name, maybe."""
        known = self.pause_confirmed(paused=paused)
        return known if paused is (self.pause is not None) else evolve(known, pause_changed_at=at)

    def pause_confirmed(self, *, paused: bool) -> Workflow:
        """Airflow has confirmed this pause state."""
        return evolve(self, airflow_paused=paused)


def _respelled(workflow: Workflow, draft: Workflow, at: datetime) -> Workflow:
    """Revised; the same text again is no new revision."""
    revised = workflow.revised(draft, at)
    return evolve(revised, revision=workflow.revision) if draft.yaml == workflow.yaml else revised


def first_revision(workflow: Workflow) -> Revision:
    """The revision that a new workflow begins with."""
    return Revision(number=workflow.revision, yaml=workflow.yaml, by=workflow.registered_by, at=workflow.registered_at)


def revision_number(key: tuple[str, ...]) -> int:
    """The number in the key of a page of revisions; raises :class:`InvalidRequest` if there is none."""
    if len(key) != 1 or not key[0].isdecimal() or len(key[0]) > _MAX_DIGITS:
        msg = "this is not a cursor of this list; take it from the Link header of an earlier answer"
        raise InvalidRequest(msg, field="cursor")
    return int(key[0])


def winner(sources: Sequence[SourceType]) -> SourceType:
    """Which of the sources of one name counts: CODE overrides MANUAL (specification, section 1.3)."""
    return SourceType.CODE if SourceType.CODE in sources else SourceType.MANUAL
