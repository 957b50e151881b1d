"""The memory of the system: workflows, runs and backfills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import date, datetime
    from uuid import UUID

    from workflow_core.domain.act import AuditEntry, AuditEvent, AuditFilter, KeyRecord
    from workflow_core.domain.authorization import Visibility
    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.code import CodeObject
    from workflow_core.domain.conditions import AirflowState, Observation
    from workflow_core.domain.counts import Counts
    from workflow_core.domain.filters import HistoryFilter, WorkflowFilter
    from workflow_core.domain.lease import Lease
    from workflow_core.domain.paging import Page, PageRequest
    from workflow_core.domain.run import Run, RunStatus
    from workflow_core.domain.workflow import Revision, Workflow


@runtime_checkable
class WorkflowPort(Protocol):
    """Where workflows, runs and backfills are kept.

    Every method is one transaction. Times come back aware, in UTC, with microseconds. JSON (``params``, ``spec``) comes back as
    equal values of the same types, whatever their size; only the order of keys is not kept. Any method may raise
    :class:`~workflow_core.errors.DatabaseUnavailable`; then nothing was changed, unless it is the
    :class:`~workflow_core.errors.DatabaseOutcomeUnknown` of a connection that broke during the commit: ids and versions tell afterwards.

    A workflow that has left (:attr:`Phase.has_left <workflow_core.domain.workflow.Phase.has_left>`) is kept for its runs only: its name
    and DAG id are free, and nothing but :meth:`workflow_by_id` and :meth:`unsettled_workflows` answers it.

    Texts, in JSON too, are Unicode that UTF-8 can hold, without NUL; JSON has no NaN and no infinity; times are aware. The core
    refuses everything else before it comes here: what an implementation does with it is not defined.

    Whatever takes an ``act`` records with its change, in the same transaction, what that says: one row of the audit (:meth:`audit`), which
    never changes and never goes; and what is kept of the idempotency key that it was asked for with, if there was one (:meth:`key`).
    If a record of this key is kept already it raises
    :class:`~workflow_core.errors.KeyInUse`, and nothing was changed; of several at the same time with one key, exactly one succeeds.
    Where that and another error would both be right, either may come.
    """

    def add_workflow(
        self, workflow: Workflow, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> None:
        """Keep a new workflow, and its first revision. Of several at the same time with one name or DAG id, exactly one succeeds.

        ``seen``, the object that it was made from, is kept with it, over whatever is kept of that object.

        Raises:
            WorkflowAlreadyExists: its name, or its DAG id, is held by another; the error names the holder.
        """
        ...

    def workflow(self, dataset_name: str) -> Workflow | None:
        """The live workflow of this name, or None."""
        ...

    def workflow_by_id(self, workflow_id: UUID) -> Workflow | None:
        """The workflow of this id, also one that has left; None if there never was one."""
        ...

    def workflow_by_dag(self, dag_id: str) -> Workflow | None:
        """The live workflow that holds this DAG id, or None."""
        ...

    def save_workflow(
        self, workflow: Workflow, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> Workflow:
        """Write back a workflow that was read earlier, and return it with its new version.

        The id and the name stay what they were. Everything else is replaced by what ``workflow`` says. ``seen``, the object that it
        was made from, is kept with it, over whatever is kept of that object.

        Raises:
            ConcurrentUpdate: its version is not the stored one: somebody else saved it since, or it is gone. No workflow of
                this id *and* name counts as gone. What has left stays so: saving it as live is refused in the same way.
        """
        ...

    def revise_workflow(
        self, workflow: Workflow, revision: Revision, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> Workflow:
        """Write back a workflow whose spec is another, as :meth:`save_workflow` does, and keep that revision; all or nothing.

        Raises:
            ConcurrentUpdate: as for :meth:`save_workflow`.
        """
        ...

    def revisions(self, workflow: Workflow, page: PageRequest) -> Page[Revision]:
        """The revisions of this very workflow, latest first. The key of a page is ``(number,)``, in decimal."""
        ...

    def revision(self, workflow: Workflow, number: int) -> Revision | None:
        """One revision of this very workflow, or None."""
        ...

    def retire_workflow(self, workflow: Workflow, *, force: bool, act: AuditEntry | None = None) -> Workflow:
        """Write back a workflow that is being unregistered, as :meth:`save_workflow` does, if it has no run that has not ended, or if
        ``force``. Of this and an :meth:`add_run` at the same time, one sees the other.

        Raises:
            ConcurrentUpdate: as for :meth:`save_workflow`.
            WorkflowHasActiveRuns: it has such runs; nothing was written.
        """
        ...

    def workflows(self, where: WorkflowFilter, page: PageRequest) -> Page[Workflow]:
        """Live workflows by name, ascending in code-point order. The key of a page is ``(dataset_name,)``."""
        ...

    def names_that_left(self, dataset_names: Iterable[str]) -> Collection[str]:
        """Those of the names that a workflow had which has left, and that no live one has."""
        ...

    def unsettled_workflows(self, limit: int) -> Sequence[Workflow]:
        """Up to ``limit`` workflows for which :attr:`Workflow.settled` is false: those tried longest ago (never tried before all) first,
        then those longest unchanged, then by name.
        """
        ...

    def mark_tried(self, workflows: Iterable[Workflow], at: datetime) -> None:
        """Remember that these were tried to be settled at this moment; of several calls the last counts. Changes no version. Workflows
        that are not kept are left out.
        """
        ...

    def code_objects(self) -> Mapping[str, CodeObject]:
        """Everything that has been seen of objects in ``code/``, by dataset name."""
        ...

    def save_code_objects(self, changed: Iterable[CodeObject], removed: Iterable[CodeObject]) -> None:
        """Keep the ``changed`` ones with their next version, and forget the ``removed`` ones.

        Each only if what is kept of it has the version that it was read with (0: nothing is kept). What somebody else has saved, or
        forgotten, since then stays as it is: they have seen at least as much.
        """
        ...

    def add_run(self, run: Run, *, of_version: int | None = None, act: AuditEntry | None = None) -> None:
        """Keep a new run. Of several at the same time with one run id, exactly one succeeds.

        ``of_version`` is the version of its workflow that the run was decided on: whatever was checked of the workflow then still holds
        at the moment that the run is kept. None: whatever its version is.

        Raises:
            RunAlreadyExists: the run id, or the pair of DAG id and Airflow's run id, is taken.
            WorkflowNotFound: its workflow does not exist, or has left; or it is being unregistered and this run is not in Airflow yet.
            ConcurrentUpdate: its workflow is not that version any more, or takes no run.
        """
        ...

    def run(self, run_id: str) -> Run | None:
        """The run with this id, or None."""
        ...

    def run_versions(self, run_ids: Collection[str]) -> Mapping[str, int]:
        """The versions of these runs: a cheap question, asked twice a second for all that somebody waits for. Ids without a run are left
        out.
        """
        ...

    def run_statuses(self, run_ids: Collection[str]) -> Mapping[str, RunStatus]:
        """The statuses of these runs as they are recorded. Ids without a run are left out."""
        ...

    def runs_by_airflow_id(self, keys: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Run]:
        """The runs with these pairs of DAG id and Airflow's run id; pairs that are not known are left out."""
        ...

    def save_run(self, run: Run, *, act: AuditEntry | None = None) -> Run:
        """Write back a run that was read earlier, and return it with its new version.

        Its ids and names stay what they were. Everything else is replaced by what ``run`` says.

        Raises:
            ConcurrentUpdate: its version is not the stored one, or it is gone. No run of these ids and names counts as gone.
        """
        ...

    def history(self, where: HistoryFilter, page: PageRequest) -> Page[Run]:
        """Runs by ``started_at``, latest first, then by run id, descending in code-point order.

        The key of a page is ``(started_at, run_id)``, the former as :func:`~workflow_core.domain.paging.moment_key` writes it.

        Raises:
            InvalidRequest: ``page.after`` is no such key.
        """
        ...

    def last_runs(self, dataset_names: Iterable[str]) -> Mapping[str, Run]:
        """For each name the run that :meth:`history` would list first; names without runs are left out."""
        ...

    def runs_to_send(self, limit: int, *, sent_before: datetime) -> Sequence[Run]:
        """Up to ``limit`` runs on their way to Airflow, waiting, or sending since before ``sent_before``: not of a backfill, which sends
        its own; not wanted to end; of a workflow that may run (served, and not paused). Those never sent first, then those sent longest
        ago, then by run id.
        """
        ...

    def stopping_runs(self, limit: int) -> Sequence[Run]:
        """Up to ``limit`` runs with status STOPPING, those asked longest ago (never asked before all) first, then by run id."""
        ...

    def retrying_runs(self, limit: int) -> Sequence[Run]:
        """Up to ``limit`` runs that are to run again (:attr:`Submission.RETRYING`), have not ended and that nobody wants to end. Those
        never asked for in Airflow first, then those asked for longest ago, then by run id.
        """
        ...

    def runs_to_look_at(self, limit: int) -> Sequence[Run]:
        """Up to ``limit`` runs that Airflow has (:attr:`Submission.SUBMITTED`) and that have not ended, those observed longest ago (never
        observed before all) first, then by run id.
        """
        ...

    def active_runs(self, workflow: Workflow) -> Sequence[Run]:
        """The runs of this very workflow that have not ended, by run id."""
        ...

    def dated_runs(self, workflow: Workflow, first: date, last: date) -> Sequence[Run]:
        """The runs of this very workflow with a run date from ``first`` to ``last`` (both included), by run date, then by
        ``started_at``, then by run id.
        """
        ...

    def add_backfill(
        self, backfill: Backfill, runs: Sequence[Run], *, dated: int, act: AuditEntry | None = None
    ) -> None:
        """Keep a new backfill with its runs, all of it or nothing. Its runs are of one workflow, and none is in Airflow.

        ``dated`` is how many runs :meth:`dated_runs` gave for the backfill's dates: what was decided by them holds only while there
        are no others. Of this, an :meth:`add_run` and another backfill at the same time, one sees the other.

        Raises:
            WorkflowNotFound: its workflow does not exist, has left, or is being unregistered.
            ConcurrentUpdate: the workflow has more runs of these dates by now.
            BackfillAlreadyExists: the backfill id is taken.
            RunAlreadyExists: the run id of one of the runs, or its pair of DAG id and Airflow's run id, is taken.
        """
        ...

    def backfill(self, backfill_id: str) -> Backfill | None:
        """The backfill with this id, or None."""
        ...

    def save_backfill(
        self, backfill: Backfill, runs: Sequence[Run] = (), *, act: AuditEntry | None = None
    ) -> tuple[Backfill, Sequence[Run]]:
        """Write back a backfill that was read earlier, and runs as :meth:`save_run` does, all of it or nothing; return them with
        their new versions.

        The backfill's id, name and workflow stay what they were. Everything else is replaced by what ``backfill`` says.

        Raises:
            ConcurrentUpdate: the version of the backfill, or that of one of the runs, is not the stored one, or one of them is gone.
        """
        ...

    def backfills(self, dataset_name: str, page: PageRequest, *, visible: Visibility | None = None) -> Page[Backfill]:
        """Backfills of workflows of this name (only of ``visible`` ones, if that is given), those that have left included, by
        ``created_at``, latest first, then by id, descending in code-point order. The key of a page is ``(created_at, backfill_id)``,
        as for :meth:`history`.

        Raises:
            InvalidRequest: ``page.after`` is no such key.
        """
        ...

    def active_backfills(self, limit: int) -> Sequence[Backfill]:
        """Up to ``limit`` backfills for which something is to be done now, those longest unchanged (``updated_at``) first, then by id.

        These are the ones

        - wanted to run, of a workflow that may run (registering or served, and not paused), with a run that is being sent and not
          wanted to end; or with one that waits while fewer than ``max_active`` others were sent and have not ended;
        - wanted to stop, with a run that has not ended and is not wanted to end yet.
        """
        ...

    def backfill_runs(self, backfill_id: str) -> Sequence[Run]:
        """The runs of a backfill, by run date, then by run id; empty if there is no such backfill."""
        ...

    def backfill_counts(self, backfill_ids: Iterable[str]) -> Mapping[str, Mapping[RunStatus, int]]:
        """For each id how many runs the backfill has of each status; statuses without any, and ids without runs, are left out."""
        ...

    def observed_until(self) -> datetime | None:
        """How far Airflow's changes have been followed (see :meth:`mark_observed`); None at first."""
        ...

    def mark_observed(self, until: datetime) -> None:
        """Remember how far Airflow's changes have been followed. An earlier moment than the remembered one is ignored."""
        ...

    def workflows_of_dags(self, dag_ids: Iterable[str]) -> Mapping[str, Workflow]:
        """The live workflows that hold these DAG ids; ids that nobody holds are left out."""
        ...

    def workflows_to_look_at(self, limit: int, *, listed_before: datetime) -> Sequence[Workflow]:
        """Up to ``limit`` workflows that Airflow serves, or could not build. First those that were neither listed nor looked at since
        ``listed_before``, then the others; of each those looked at longest ago (never looked at before all) first, then by name.
        """
        ...

    def observations(self, workflow_ids: Iterable[UUID]) -> Mapping[UUID, Observation]:
        """What was last seen of these workflows; those of which nothing was ever seen are left out."""
        ...

    def save_observations(self, observations: Sequence[Observation]) -> None:
        """Keep what was seen, each in the place of what was seen of the same workflow before, unless that is newer: if ``listed_at`` or
        ``looked_at`` would go back, or be None again, what is there stays. Of what is equally new the last one to save counts.
        """
        ...

    def airflow_state(self) -> AirflowState:
        """How the mirror of Airflow stands; at first as a new :class:`AirflowState`."""
        ...

    def save_airflow_state(self, state: AirflowState) -> None:
        """Keep how the mirror stands; the last one to save counts."""
        ...

    def record(self, act: AuditEntry) -> None:
        """Record what was asked for and changes nothing that is kept: it was so already."""
        ...

    def audit(self, where: AuditFilter, page: PageRequest) -> Page[AuditEvent]:
        """What was recorded, latest first, then by id, descending as text. The key of a page is ``(at, id)``, as for :meth:`history`.

        Raises:
            InvalidRequest: ``page.after`` is no such key.
        """
        ...

    def key(self, scope: str, text: str) -> KeyRecord | None:
        """What is kept of the idempotency key ``text`` of the caller ``scope``, or None."""
        ...

    def keep_answer(self, scope: str, text: str, answer: str) -> str | None:
        """Keep the answer to what was recorded with this key, unless one is kept; return the one that is kept. Of several at the same time
        one is kept, and all return that. None: nothing is kept of the key.

        An answer may be lost again by a crash of the database; the record of the key may not.
        """
        ...

    def forget_keys(self, before: datetime, limit: int) -> int:
        """Forget up to ``limit`` keys that were recorded before this moment, the oldest first; return how many."""
        ...

    def claim(self, subjects: Iterable[str], *, owner: str, at: datetime, until: datetime) -> Mapping[str, Lease]:
        """Lease those of the subjects that are free: never leased, released, or leased until ``at`` at the latest, to whomever.

        Of several at the same time exactly one gets a subject, and with it an epoch greater than all that this subject had before.
        """
        ...

    def renew(self, lease: Lease, until: datetime) -> Lease:
        """Have the lease end at another moment; its epoch stays.

        Raises:
            LeaseLost: somebody else has claimed the subject, or the lease was released.
        """
        ...

    def release(self, leases: Iterable[Lease]) -> None:
        """End leases. Those that somebody else has claimed since stay as they are."""
        ...

    def under(self, lease: Lease) -> AbstractContextManager[None]:
        """Within the block every method of this port that writes, called in this thread, does so only while the subject is neither
        claimed by somebody else nor released; that is part of the same transaction. One that only reads, :meth:`claim`, :meth:`renew`
        and :meth:`release` take no notice. Blocks may be nested: the inner lease counts.

        Raises (each of those methods):
            LeaseLost: it is; nothing was written.
        """
        ...

    def forget_leases(self, before: datetime) -> None:
        """Forget the leases that ended, or were released, before this moment; the epochs of their subjects begin anew. Nobody may be at
        work any more under one of them.
        """
        ...

    def counts(self) -> Counts:
        """How many workflows and unended runs there are, from one cheap query: asked every few seconds by those who watch."""
        ...

    def check(self) -> None:
        """Return if the database answers and its schema is one that this code works with.

        Raises:
            DatabaseUnavailable: it does not, or its schema is another; the message says what to do.
        """
        ...
