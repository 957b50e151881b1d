"""A registered workflow: its desired state, and the progress of the other systems towards it."""

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
    """Registered through this API, which may change it in every way."""
    CODE = "CODE"
    """Published into the object store by a CI pipeline; this API may only pause and unpause it."""


class WorkflowStatus(StrEnum):
    """The status of a workflow; lower case in responses and filters."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"
    """It cannot run: Airflow cannot build its DAG, or it is being unregistered."""


class Phase(StrEnum):
    """The stage of a workflow's life, as the object store and Airflow confirm it."""

    REGISTERING = "registering"
    """Recorded; the YAML or the DAG is not confirmed yet. The worker continues until it is."""
    SERVED = "served"
    """Airflow serves a DAG built from exactly this spec."""
    FAILED = "failed"
    """No DAG can be built from exactly this spec; ``phase_reason`` contains the reason."""
    UNREGISTERING = "unregistering"
    """A caller has unregistered it; its YAML still exists, or not all its runs have received the stop. It keeps its name."""
    LEAVING = "leaving"
    """Unregistered: its name is free. Airflow has not been observed without the DAG yet."""
    GONE = "gone"
    """Unregistered and removed from Airflow. The row stays for its history."""

    @property
    def has_left(self) -> bool:
        """Whether the name is free for another workflow."""
        return self in {Phase.LEAVING, Phase.GONE}


@frozen(kw_only=True)
class Pause:
    """Who paused a workflow, when, and why."""

    by: str
    at: datetime
    reason: str | None = None


@frozen(kw_only=True)
class Revision:
    """One accepted spec of a workflow: its number, counted from 1 without gaps, and the caller who submitted it.

    ``restored_from`` is the number of the revision whose text it repeats, if it was restored.
    """

    number: int
    yaml: str
    by: str
    at: datetime
    restored_from: int | None = None


@frozen(kw_only=True)
class RevisionDiff:
    """The difference between two revisions: a unified diff of their texts, empty if they are equal."""

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
class OverriddenManual:
    """A MANUAL workflow that a CODE workflow of the same name overrides. Its file is kept, and it is restored when CODE is removed."""

    yaml: str
    s3_path: str
    registered_by: str
    registered_at: datetime


@frozen(kw_only=True)
class Workflow:
    """A registered workflow.

    ``spec`` and ``yaml`` are the same document, that of ``revision``; ``yaml`` is the complete stored text.
    ``served_revision`` is the latest one that Airflow was observed to serve (None: none yet). ``airflow_paused`` is the pause
    state last confirmed by Airflow (None: never), ``pause_changed_at`` when the desired pause state last changed (None: never).
    ``version`` rises with every saved change (optimistic locking).
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
    shadowed: OverriddenManual | None = None
    revision: int = 1
    served_revision: int | None = None
    version: int = 1

    @property
    def dag_id(self) -> str:
        """The id of its DAG in Airflow."""
        return dag_id_for(self.dataset_name)

    @property
    def spec_hash(self) -> str:
        """The hash in the mark of a DAG built from exactly this spec."""
        return spec_hash(self.yaml)

    @property
    def team(self) -> str | None:
        """The owning team, if the spec names one."""
        return self.spec.team

    @property
    def status(self) -> WorkflowStatus:
        """The status, derived from the phase and the pause, never stored separately."""
        if self.phase not in {Phase.REGISTERING, Phase.SERVED}:
            return WorkflowStatus.DISABLED
        return WorkflowStatus.PAUSED if self.pause else WorkflowStatus.ACTIVE

    @property
    def is_settled(self) -> bool:
        """Whether the object store and Airflow have reached the desired state."""
        if self.phase is Phase.SERVED:
            return self.airflow_paused == (self.pause is not None)
        return self.phase in {Phase.FAILED, Phase.GONE}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings for the caller about a request that was accepted."""
        warnings = [*warnings_of(self.spec)]
        if not self.spec.tasks:
            warnings.append(
                "The spec has no tasks: a run executes the task that WORKFLOWS_DEFAULT_TASK sets in Airflow, or nothing."
            )
        if self.storage_refusal is not None:
            warnings.append(f"Its YAML is not stored yet; the worker retries: {self.storage_refusal}")
        elif self.phase is Phase.REGISTERING:
            warnings.append(
                "Airflow does not serve the DAG yet; runs are accepted and submitted as soon as it does."
                if self.served_revision is None
                else f"Airflow still serves revision {self.served_revision}; runs are accepted and submitted as soon as it serves"
                f" revision {self.revision}."
            )
        if self.phase is Phase.FAILED:
            warnings.append(f"Airflow cannot build the DAG: {self.phase_reason}")
        if self.phase is Phase.UNREGISTERING:
            warnings.append("The workflow is being unregistered.")
        if self.phase is Phase.SERVED and not self.is_settled:
            warnings.append(
                "Airflow has not confirmed the pause state yet; it is applied as soon as Airflow responds"
                + (" and no run is active." if self.pause else ".")
            )
        return tuple(warnings)

    @property
    def storage_refusal(self) -> str | None:
        """The reason why the object store refuses to store or remove the YAML; None if it does not."""
        return self.phase_reason if self.phase in {Phase.REGISTERING, Phase.UNREGISTERING} else None

    def refused_by_storage(self, reason: str | None) -> Workflow:
        """Record why the object store refuses the YAML or its removal; None: it no longer does.

        The phase stays, so that the worker retries.
        """
        return evolve(self, phase_reason=reason)

    def next_run(self, now: datetime) -> datetime | None:
        """The next scheduled fire time after ``now`` (UTC); None while paused or disabled."""
        if self.status is not WorkflowStatus.ACTIVE:
            return None
        start = self.spec.start_date
        return self.schedule.next_after(now) if start is None or start <= now else self.schedule.first_from(start)

    def fires(self, now: datetime, count: int) -> Sequence[FireTime]:
        """The next fire times of the schedule after ``now``, as if the workflow were neither paused nor disabled."""
        start = self.spec.start_date
        moment = now if start is None or start <= now else start - timedelta(microseconds=1)
        return self.schedule.upcoming(moment, count)

    def served(self, at: datetime) -> Workflow:
        """Record that Airflow serves a DAG with this spec's hash."""
        return evolve(self, phase=Phase.SERVED, phase_reason=None, served_revision=self.revision, updated_at=at)

    def revised(self, draft: Workflow, at: datetime) -> Workflow:
        """Return the next revision: the spec of ``draft``, which Airflow does not serve yet.

        The pause and the caller who first registered the workflow stay.
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
        """Record that Airflow cannot build a DAG from this spec."""
        return evolve(self, phase=Phase.FAILED, phase_reason=reason, updated_at=at)

    def paused(self, by: str, reason: str | None, at: datetime) -> Workflow:
        """Pause it. A workflow that is already paused is unchanged, except that it takes a reason if it has none."""
        if self.pause:
            missing = reason is not None and self.pause.reason is None
            return evolve(self, pause=evolve(self.pause, reason=reason), updated_at=at) if missing else self
        return evolve(self, pause=Pause(by=by, at=at, reason=reason), pause_changed_at=at, updated_at=at)

    def unpaused(self, at: datetime) -> Workflow:
        """Unpause it, if it is paused. A worker may be applying the pause now, so the state in Airflow becomes unknown."""
        if self.pause is None:
            return self
        return evolve(self, pause=None, airflow_paused=None, pause_changed_at=at, updated_at=at)

    def unregistering(self, by: str, at: datetime) -> Workflow:
        """Begin to unregister it. The first request counts."""
        if self.removal is not None:
            return self
        return evolve(self, phase=Phase.UNREGISTERING, phase_reason=None, removal=Removal(by=by, at=at), updated_at=at)

    def left(self, at: datetime) -> Workflow:
        """Free the name: the YAML is removed and the DAG is paused."""
        return evolve(self, phase=Phase.LEAVING, phase_reason=None, updated_at=at)

    def gone(self, at: datetime) -> Workflow:
        """Record that Airflow has dropped the DAG, or that the DAG belongs to a successor."""
        return evolve(self, phase=Phase.GONE, updated_at=at)

    # CODE workflows: published, broken, and removed.

    @property
    def overridden(self) -> bool:
        """Whether this CODE workflow overrides a MANUAL one, which is restored when CODE is removed."""
        return self.shadowed is not None

    def published(self, draft: Workflow) -> Workflow:
        """Replace it by ``draft``, a workflow of the same name that was published as CODE; the pause stays.

        A workflow that was being unregistered because its file was missing is kept.
        """
        under_code = self._under_code(s3_path=draft.s3_path, by=draft.registered_by, at=draft.registered_at)
        return evolve(_revised_if_changed(under_code, draft, draft.updated_at), removal=None)

    def broken(self, reason: str, *, s3_path: str, by: str, at: datetime) -> Workflow:
        """Record that no DAG can be built from the published CODE, so that none is served. The last valid spec stays visible."""
        return self._under_code(s3_path=s3_path, by=by, at=at).failed(reason, at)

    def restored(
        self, overridden: OverriddenManual, spec: WorkflowSpec, schedule: Schedule, owner: str, at: datetime
    ) -> Workflow:
        """Restore the overridden MANUAL workflow from its YAML, because CODE was removed; the pause stays."""
        draft = evolve(
            self,
            source_type=SourceType.MANUAL,
            spec=spec,
            yaml=overridden.yaml,
            s3_path=overridden.s3_path,
            schedule=schedule,
            owner=owner,
            registered_by=overridden.registered_by,
            registered_at=overridden.registered_at,
            shadowed=None,
        )
        return _revised_if_changed(evolve(draft, yaml=self.yaml), draft, at)

    def reconsidered(self, at: datetime) -> Workflow:
        """Return to REGISTERING, because the obstacle to building its DAG is removed."""
        return evolve(self, phase=Phase.REGISTERING, phase_reason=None, updated_at=at)

    def _under_code(self, *, s3_path: str, by: str, at: datetime) -> Workflow:
        if self.source_type is SourceType.CODE:
            return self
        overridden = OverriddenManual(
            yaml=self.yaml,
            s3_path=self.s3_path,
            registered_by=self.registered_by,
            registered_at=self.registered_at,
        )
        return evolve(
            self, source_type=SourceType.CODE, s3_path=s3_path, registered_by=by, registered_at=at, shadowed=overridden
        )

    @property
    def pause_is_pending(self) -> bool:
        """Whether the workflow is paused and its DAG in Airflow is not paused yet."""
        return self.phase is Phase.SERVED and self.pause is not None and not self.is_settled

    def pause_forgotten(self) -> Workflow:
        """Mark the pause state in Airflow as unknown."""
        return evolve(self, airflow_paused=None)

    def found_served(self, at: datetime, *, paused: bool) -> Workflow:
        """Record the pause state of a DAG that Airflow already serves, perhaps that of an earlier workflow of this name."""
        confirmed = self.pause_confirmed(paused=paused)
        return confirmed if paused is (self.pause is not None) else evolve(confirmed, pause_changed_at=at)

    def pause_confirmed(self, *, paused: bool) -> Workflow:
        """Record that Airflow has confirmed this pause state."""
        return evolve(self, airflow_paused=paused)


def _revised_if_changed(workflow: Workflow, draft: Workflow, at: datetime) -> Workflow:
    """Revise the workflow; an equal text is no new revision."""
    revised = workflow.revised(draft, at)
    return evolve(revised, revision=workflow.revision) if draft.yaml == workflow.yaml else revised


def first_revision(workflow: Workflow) -> Revision:
    """Return the first revision of a new workflow."""
    return Revision(number=workflow.revision, yaml=workflow.yaml, by=workflow.registered_by, at=workflow.registered_at)


def revision_number(key: tuple[str, ...]) -> int:
    """Return the number in the cursor of a page of revisions; raise :class:`InvalidRequest` if it has none."""
    if len(key) != 1 or not key[0].isdecimal() or len(key[0]) > _MAX_DIGITS:
        msg = "is not a cursor of this list; use one from the Link header of an earlier response"
        raise InvalidRequest(msg, field="cursor")
    return int(key[0])


def winner(sources: Sequence[SourceType]) -> SourceType:
    """Return the source that takes effect for a name: CODE overrides MANUAL (specification, section 1.3)."""
    return SourceType.CODE if SourceType.CODE in sources else SourceType.MANUAL
