"""Conditions: the differences between a workflow and the last observed state of Airflow and the object store."""

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
    """The type of a condition; stable, so that programs may switch on it."""

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
    """Whether a part of the workflow does not work (``error``) or may be unintended (``warning``)."""

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
    """One difference between the desired and the observed state, with a message and the time of its first observation."""

    type: ConditionType
    since: datetime
    message: str

    @property
    def severity(self) -> Severity:
        """The severity of the condition's type."""
        return Severity.WARNING if self.type in _WARNINGS else Severity.ERROR


@frozen(kw_only=True)
class Observation:
    """The last observed state of one workflow in Airflow and the object store.

    ``listed_at`` is when it was last read from Airflow's list of DAGs, ``looked_at`` when it was last polled individually (None:
    never). ``is_served`` and ``is_stored`` None: not known yet. ``stored_hash`` is that of the YAML in the object store. ``since`` is
    when each present drift was first observed.
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
        """The time of the last observation."""
        return max((moment for moment in (self.listed_at, self.looked_at) if moment is not None), default=None)

    def is_newer_than(self, at: datetime) -> bool:
        """Whether the observation is newer than ``at``: a response to an earlier request is outdated."""
        return self.observed_at is not None and self.observed_at > at

    def next_run_of(self, workflow: Workflow, now: datetime) -> datetime | None:
        """The next fire time in Airflow; None if Airflow has not reported it for the schedule in force."""
        observed_at = self.observed_at
        in_force = self.is_served and self.spec_hash in {None, workflow.spec_hash}
        if not in_force or observed_at is None or observed_at <= workflow.updated_at or self.next_run is None:
            return None
        return self.next_run if self.next_run > now else None

    def remembering(self, workflow: Workflow, at: datetime) -> Observation:
        """Return the observation with the time at which each drift was first observed."""
        return evolve(self, since={kind.value: self.since.get(kind.value, at) for kind in drift(workflow, self)})


@frozen(kw_only=True)
class AirflowState:
    """The state of the mirror of Airflow.

    ``tried_at`` is when the last pass ended, successful or not. ``reached_at`` is when the last successful pass began: all earlier
    changes in Airflow are recorded. ``unreachable_since`` is set while passes fail, and ``detail`` contains the reason. Each pass
    reads one page of the list of DAGs: ``offset`` is where the next page begins, ``cycle_at`` when the first page of this cycle was
    read, ``last_cycle_at`` the same time of the last complete cycle.
    """

    tried_at: datetime | None = None
    reached_at: datetime | None = None
    unreachable_since: datetime | None = None
    detail: str | None = None
    offset: int = 0
    cycle_at: datetime | None = None
    last_cycle_at: datetime | None = None

    def is_followed(self, now: datetime, seconds: float) -> bool:
        """Whether a worker follows Airflow, so that queries need not poll it."""
        return self.tried_at is not None and (now - self.tried_at).total_seconds() <= seconds

    @property
    def is_stale(self) -> bool:
        """Whether the recorded state is no longer known to be current."""
        return self.unreachable_since is not None

    def failed(self, detail: str, at: datetime) -> AirflowState:
        """Record a pass that ended at ``at`` because Airflow did not respond."""
        return evolve(self, tried_at=at, unreachable_since=self.unreachable_since or at, detail=detail)

    def reached(self, began: datetime, at: datetime) -> AirflowState:
        """Record a successful pass that began at ``began`` and ended at ``at``."""
        return evolve(self, tried_at=at, reached_at=began, unreachable_since=None, detail=None)


def drift(workflow: Workflow, observation: Observation) -> Mapping[ConditionType, str]:
    """Return the observed differences from the desired state, each with a message.

    Only a workflow that Airflow has served can have drift: until then the worker still registers it. An observation from before
    the last change of the workflow does not count.
    """
    if workflow.phase is not Phase.SERVED:
        return {}
    observed_at = observation.observed_at
    if observed_at is None:
        return {}
    is_current = observed_at > workflow.updated_at
    messages: dict[ConditionType, str] = {}
    if observation.is_served is False and is_current:
        messages[ConditionType.DAG_MISSING] = (
            f"Airflow does not serve its DAG {workflow.dag_id!r}: no run of it can start."
        )
    if observation.has_import_errors:
        messages[ConditionType.IMPORT_ERROR] = (
            "The file that defines its DAG has an import error in Airflow: changes do not take effect."
        )
    if observation.is_served and observation.spec_hash is not None and observation.spec_hash != workflow.spec_hash:
        messages[ConditionType.OTHER_SPEC_SERVED] = (
            "Airflow serves a DAG that was built from another version of its YAML."
        )
    if is_current:
        messages |= _pause_drift(workflow, observation)
    if observation.is_stored is False and is_current:
        messages[ConditionType.YAML_MISSING] = (
            f"Its YAML is gone from the object store ({workflow.s3_path}): Airflow will drop its DAG."
        )
    if observation.is_stored and observation.stored_hash != workflow.spec_hash:
        messages[ConditionType.YAML_CHANGED] = (
            f"Its YAML in the object store ({workflow.s3_path}) is not the registered one."
        )
    return messages


def _pause_drift(workflow: Workflow, observation: Observation) -> Mapping[ConditionType, str]:
    """Return the drift of the pause state. A pause state that Airflow has not received yet is no drift."""
    should_be_paused = workflow.pause is not None
    if (
        observation.is_paused in {None, should_be_paused}
        or observation.is_served is not True
        or not workflow.is_settled
    ):
        return {}
    if observation.is_paused:
        text = (
            "Its DAG was paused in Airflow: no run of it starts or continues; only tasks that have started finish."
            " `dli workflow unpause` unpauses it."
        )
        return {ConditionType.PAUSED_IN_AIRFLOW: text}
    text = "It is paused, but its DAG was unpaused in Airflow: its schedule runs. `dli workflow pause` pauses it."
    return {ConditionType.UNPAUSED_IN_AIRFLOW: text}


def pause_note(workflow: Workflow, runs: int, *, is_paused: bool) -> str:
    """Return what happens to the ``runs`` active runs of a paused workflow; ``is_paused``: its DAG is paused in Airflow."""
    are, their, have = ("run is", "its", "it has") if runs == 1 else ("runs are", "their", "they have")
    if is_paused:
        return (
            f"{runs} {are} active: {their} started tasks end, the rest waits until the workflow is unpaused"
            f" (`dli workflow unpause {workflow.dataset_name}`)."
        )
    return (
        f"{runs} {are} active and may finish: the DAG is paused in Airflow when {have} ended, at the latest shortly before the next fire"
        " time of its schedule."
    )


def _pause_conditions(workflow: Workflow, observation: Observation | None, runs: int) -> list[Condition]:
    """Return the condition about active runs, if the workflow or its DAG is paused."""
    if not runs or workflow.phase is not Phase.SERVED:
        return []
    if workflow.pause is not None and workflow.pause_is_pending:
        text = pause_note(workflow, runs, is_paused=False)
        return [Condition(type=ConditionType.PAUSE_PENDING, since=workflow.pause.at, message=text)]
    if observation is None or not observation.is_paused:
        return []
    paused_since = observation.since.get(
        ConditionType.PAUSED_IN_AIRFLOW.value, observation.observed_at or workflow.updated_at
    )
    since = paused_since if workflow.pause is None else workflow.pause.at
    text = pause_note(workflow, runs, is_paused=True)
    return [Condition(type=ConditionType.RUNS_HELD, since=since, message=text)]


def conditions(
    workflow: Workflow, observation: Observation | None, airflow: AirflowState, *, under_way: int = 0
) -> tuple[Condition, ...]:
    """Return all conditions of a workflow, errors first. ``under_way`` is the number of its active runs in Airflow."""
    conditions = []
    if workflow.storage_refusal is not None:
        text = f"Its YAML cannot be {_STEP[workflow.phase]}: {workflow.storage_refusal}"
        conditions.append(Condition(type=ConditionType.STORAGE_REFUSED, since=workflow.updated_at, message=text))
    elif workflow.phase is Phase.REGISTERING:
        text = "Airflow does not serve its DAG yet; runs are accepted and start when it does."
        conditions.append(Condition(type=ConditionType.NOT_SERVED_YET, since=workflow.updated_at, message=text))
    if workflow.phase is Phase.FAILED:
        text = f"Airflow cannot build its DAG: {workflow.phase_reason or 'the reason is not known'}"
        conditions.append(Condition(type=ConditionType.NOT_BUILDABLE, since=workflow.updated_at, message=text))
    if observation is not None:
        observed_at = observation.observed_at or workflow.updated_at
        conditions += [
            Condition(type=kind, since=observation.since.get(kind.value, observed_at), message=text)
            for kind, text in drift(workflow, observation).items()
        ]
    conditions += _pause_conditions(workflow, observation, under_way)
    if airflow.unreachable_since is not None:
        text = "Airflow does not respond and never has."
        if airflow.reached_at is not None:
            text = f"Airflow does not respond; its state was last observed at {airflow.reached_at:%Y-%m-%dT%H:%M:%SZ}."
        conditions.append(
            Condition(type=ConditionType.AIRFLOW_UNREACHABLE, since=airflow.unreachable_since, message=text)
        )
    return tuple(sorted(conditions, key=lambda condition: condition.severity is not Severity.ERROR))
