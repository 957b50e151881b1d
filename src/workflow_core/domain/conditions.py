"""What is not as it is wanted: a workflow beside what Airflow and the object store were last seen to hold."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from attrs import Factory, evolve, frozen

from workflow_core.domain.workflow import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from workflow_core.domain.workflow import Workflow


class ConditionType(StrEnum):
    """What can be wrong; stable, so that programs may switch on it."""

    NOT_SERVED_YET = "not_served_yet"
    NOT_BUILDABLE = "not_buildable"
    DAG_MISSING = "dag_missing"
    IMPORT_ERROR = "import_error"
    OTHER_SPEC_SERVED = "other_spec_served"
    PAUSED_IN_AIRFLOW = "paused_in_airflow"
    UNPAUSED_IN_AIRFLOW = "unpaused_in_airflow"
    PAUSE_PENDING = "pause_pending"
    RUNS_HELD = "runs_held"
    YAML_MISSING = "yaml_missing"
    YAML_CHANGED = "yaml_changed"
    AIRFLOW_UNREACHABLE = "airflow_unreachable"
    STORAGE_REFUSED = "storage_refused"


class Severity(StrEnum):
    """Whether something does not work (``error``), or may not be what somebody wants (``warning``)."""

    WARNING = "warning"
    ERROR = "error"


_WARNINGS: Final = frozenset(
    {
        ConditionType.NOT_SERVED_YET,
        ConditionType.OTHER_SPEC_SERVED,
        ConditionType.PAUSE_PENDING,
        ConditionType.RUNS_HELD,
        ConditionType.YAML_CHANGED,
        ConditionType.AIRFLOW_UNREACHABLE,
    }
)


_STEP: Final = {Phase.REGISTERING: "stored", Phase.UNREGISTERING: "removed"}


@frozen(kw_only=True)
class Condition:
    """One thing that is not as it is wanted, in words, and since when that is known."""

    type: ConditionType
    since: datetime
    message: str

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return Severity.WARNING if self.type in _WARNINGS else Severity.ERROR


@frozen(kw_only=True)
class Observation:
    """What Airflow and the object store were last seen to hold of one workflow.

    ``listed_at`` is when it was last among the DAGs that Airflow lists, ``looked_at`` when it was last looked at by itself (None:
    never). ``is_served`` and ``is_stored`` None: not known yet. ``stored_hash`` is that of the YAML in the object store. ``since`` is
    when each drift that there is now was first seen.
    """

    workflow_id: UUID
    listed_at: datetime | None = None
    looked_at: datetime | None = None
    is_served: bool | None = None
    is_paused: bool | None = None
    has_import_errors: bool = False
    spec_hash: str | None = None
    error: str | None = None
    next_run: datetime | None = None
    is_stored: bool | None = None
    stored_hash: str | None = None
    since: Mapping[str, datetime] = Factory(dict)

    @property
    def observed_at(self) -> datetime | None:
        """When something of this was last seen."""
        return max((moment for moment in (self.listed_at, self.looked_at) if moment is not None), default=None)

    def is_newer_than(self, at: datetime) -> bool:
        """Whether some of this was seen after that moment: what was asked before it does not count any more."""
        return self.observed_at is not None and self.observed_at > at

    def next_run_of(self, workflow: Workflow, now: datetime) -> datetime | None:
        """When Airflow will fire next; None where it has not said so of the schedule that is in force."""
        seen_at = self.observed_at
        in_force = self.is_served and self.spec_hash in {None, workflow.spec_hash}
        if not in_force or seen_at is None or seen_at <= workflow.updated_at or self.next_run is None:
            return None
        return self.next_run if self.next_run > now else None

    def remembering(self, workflow: Workflow, at: datetime) -> Observation:
        """The same, with the moment kept at which each drift began."""
        return evolve(self, since={kind.value: self.since.get(kind.value, at) for kind in drift(workflow, self)})


@frozen(kw_only=True)
class AirflowState:
    """How the mirror of Airflow stands.

    ``tried_at`` is when the last pass ended, whatever came of it. ``reached_at`` is when the last one began that saw everything it asked
    for: whatever had changed in Airflow before is recorded. ``unreachable_since`` is set while passes fail, ``detail`` says why. The
    list of DAGs is read a page a pass: ``offset`` is where the next one begins, ``cycle_at`` when the first page of this cycle was read,
    ``last_cycle_at`` that of the last complete one.
    """

    tried_at: datetime | None = None
    reached_at: datetime | None = None
    unreachable_since: datetime | None = None
    detail: str | None = None
    offset: int = 0
    cycle_at: datetime | None = None
    last_cycle_at: datetime | None = None

    def is_followed(self, now: datetime, seconds: float) -> bool:
        """Whether somebody follows Airflow: then nobody who reads has to ask it, were it away."""
        return self.tried_at is not None and (now - self.tried_at).total_seconds() <= seconds

    @property
    def is_stale(self) -> bool:
        """Whether what is recorded is no longer known to be true."""
        return self.unreachable_since is not None

    def failed(self, detail: str, at: datetime) -> AirflowState:
        """A pass ended early at that moment: Airflow did not answer."""
        return evolve(self, tried_at=at, unreachable_since=self.unreachable_since or at, detail=detail)

    def reached(self, began: datetime, at: datetime) -> AirflowState:
        """A pass that began at one moment ended at the other, and saw everything it asked for."""
        return evolve(self, tried_at=at, reached_at=began, unreachable_since=None, detail=None)


def drift(workflow: Workflow, seen: Observation) -> Mapping[ConditionType, str]:
    """What was seen that is not what is wanted, each in words. Only of a workflow that Airflow is known to have served: until then
    the worker is still at it. What was seen before the workflow was last changed says nothing of it.
    """
    if workflow.phase is not Phase.SERVED:
        return {}
    observed_at = seen.observed_at
    if observed_at is None:
        return {}
    late = observed_at > workflow.updated_at
    found: dict[ConditionType, str] = {}
    if seen.is_served is False and late:
        found[ConditionType.DAG_MISSING] = (
            f"Airflow does not serve its DAG {workflow.dag_id!r}: nothing of it can start."
        )
    if seen.has_import_errors:
        found[ConditionType.IMPORT_ERROR] = (
            "The file that its DAG comes from has an import error in Airflow: changes do not arrive."
        )
    if seen.is_served and seen.spec_hash is not None and seen.spec_hash != workflow.spec_hash:
        found[ConditionType.OTHER_SPEC_SERVED] = "Airflow serves a DAG of another version of its YAML."
    if late:
        found |= _pause_drift(workflow, seen)
    if seen.is_stored is False and late:
        found[ConditionType.YAML_MISSING] = (
            f"Its YAML is gone from the object store ({workflow.s3_path}): Airflow will drop its DAG."
        )
    if seen.is_stored and seen.stored_hash != workflow.spec_hash:
        found[ConditionType.YAML_CHANGED] = (
            f"Its YAML in the object store ({workflow.s3_path}) is not the one that was registered."
        )
    return found


def _pause_drift(workflow: Workflow, seen: Observation) -> Mapping[ConditionType, str]:
    """A pause state that is still on its way to Airflow is no drift."""
    wanted = workflow.pause is not None
    if seen.is_paused in {None, wanted} or seen.is_served is not True or not workflow.settled:
        return {}
    if seen.is_paused:
        text = (
            "Its DAG was paused in Airflow: no run of it starts or goes on, only tasks that have started end."
            " `dli workflow unpause` unpauses it."
        )
        return {ConditionType.PAUSED_IN_AIRFLOW: text}
    text = (
        "It is paused, but somebody has unpaused its DAG in Airflow: its schedule runs. `dli workflow pause` pauses it."
    )
    return {ConditionType.UNPAUSED_IN_AIRFLOW: text}


def pause_note(workflow: Workflow, runs: int, *, is_paused: bool) -> str:
    """What becomes of this many ``runs`` under way of a workflow; ``is_paused``: its DAG is paused in Airflow."""
    are, their, have = ("run is", "its", "it has") if runs == 1 else ("runs are", "their", "they have")
    if is_paused:
        return (
            f"{runs} {are} under way: {their} started tasks end, the rest waits until the workflow is unpaused"
            f" (`dli workflow unpause {workflow.dataset_name}`)."
        )
    return (
        f"{runs} {are} under way and may end: the DAG is paused in Airflow when {have} ended, at the latest shortly before its schedule"
        " fires next."
    )


def _pause_conditions(workflow: Workflow, seen: Observation | None, runs: int) -> list[Condition]:
    """What becomes of runs under way, where the workflow or its DAG is paused."""
    if not runs or workflow.phase is not Phase.SERVED:
        return []
    if workflow.pause is not None and workflow.pause_is_pending:
        text = pause_note(workflow, runs, is_paused=False)
        return [Condition(type=ConditionType.PAUSE_PENDING, since=workflow.pause.at, message=text)]
    if seen is None or not seen.is_paused:
        return []
    known = seen.since.get(ConditionType.PAUSED_IN_AIRFLOW.value, seen.observed_at or workflow.updated_at)
    since = known if workflow.pause is None else workflow.pause.at
    text = pause_note(workflow, runs, is_paused=True)
    return [Condition(type=ConditionType.RUNS_HELD, since=since, message=text)]


def conditions(
    workflow: Workflow, seen: Observation | None, airflow: AirflowState, *, under_way: int = 0
) -> tuple[Condition, ...]:
    """Everything that is not as it is wanted, the worst first. ``under_way`` is how many of its runs Airflow has that have not ended."""
    found = []
    if workflow.storage_refusal is not None:
        text = f"Its YAML cannot be {_STEP[workflow.phase]}: {workflow.storage_refusal}"
        found.append(Condition(type=ConditionType.STORAGE_REFUSED, since=workflow.updated_at, message=text))
    elif workflow.phase is Phase.REGISTERING:
        text = "Airflow does not serve its DAG yet; runs are accepted and start when it does."
        found.append(Condition(type=ConditionType.NOT_SERVED_YET, since=workflow.updated_at, message=text))
    if workflow.phase is Phase.FAILED:
        text = f"Airflow cannot build its DAG: {workflow.phase_reason or 'the reason is not known'}"
        found.append(Condition(type=ConditionType.NOT_BUILDABLE, since=workflow.updated_at, message=text))
    if seen is not None:
        known = seen.observed_at or workflow.updated_at
        found += [
            Condition(type=kind, since=seen.since.get(kind.value, known), message=text)
            for kind, text in drift(workflow, seen).items()
        ]
    found += _pause_conditions(workflow, seen, under_way)
    if airflow.unreachable_since is not None:
        text = "Airflow does not answer, and never has."
        if airflow.reached_at is not None:
            text = f"Airflow does not answer; what is said of it is from {airflow.reached_at:%Y-%m-%dT%H:%M:%SZ}."
        found.append(Condition(type=ConditionType.AIRFLOW_UNREACHABLE, since=airflow.unreachable_since, message=text))
    return tuple(sorted(found, key=lambda one: one.severity is not Severity.ERROR))
