"""Import CODE workflows: compare ``code/`` with the objects that were read before, and record the changes.

If nothing changed, a sync costs one listing and one read of the database. The next sweep reconciles the recorded
changes, as after a registration. Any number of syncs may run concurrently: each save is based on a workflow that was
read *before* its object, so an older version of an object cannot replace a newer one.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Final

from attrs import define, evolve, field, frozen

from workflow_core.domain.audit import Action, on_workflow
from workflow_core.domain.code import CodeObject, FailedObject, SkippedChange, SyncReport
from workflow_core.domain.filters import WorkflowFilter
from workflow_core.domain.names import dag_id_for, is_sentinel, uuid7
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.spec import SpecRules, parse_complete_spec
from workflow_core.domain.workflow import Phase, Revision, SourceType, Workflow
from workflow_core.errors import ConcurrentUpdate, InvalidRequest, Problem, WorkflowAlreadyExists

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workflow_core.domain.caller import Caller
    from workflow_core.ports.storage import StoredRef
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)

ALWAYS_REMOVABLE: Final = 3
"""Number of workflows that one sync may always remove, regardless of their share."""

RENEW_EVERY: Final = 20
"""Number of objects after which the worker renews its lease of the sync; a few seconds at most."""

_CHECK_AGAIN: Final = ""
"""ETag recorded for an object that was rejected because of another workflow.

It matches no listing, so every sync checks the object again: no listing shows when the other workflow changes.
"""


@frozen(kw_only=True)
class SyncCode:
    """Command: sync CODE workflows from the object store.

    Attributes:
        dry_run: whether to report the changes without making them.
        allow_removals: whether to remove every missing workflow, however many they are.
    """

    caller: Caller
    dry_run: bool = False
    allow_removals: bool = False


@define(kw_only=True)
class CodeSync:
    """One sync in progress, with its results so far."""

    command: SyncCode
    context: Context
    recorded: Mapping[str, CodeObject]
    observed: list[CodeObject] = field(factory=list)
    missing: list[CodeObject] = field(factory=list)
    added_dag_ids: dict[str, str] = field(factory=dict)
    added: list[str] = field(factory=list)
    changed: list[str] = field(factory=list)
    removed: list[str] = field(factory=list)
    overridden: list[str] = field(factory=list)
    restored: list[str] = field(factory=list)
    failed: list[FailedObject] = field(factory=list)
    guarded: list[SkippedChange] = field(factory=list)
    unchanged: int = 0

    def import_object(self, ref: StoredRef) -> None:
        """Import an object if it has changed since the last sync."""
        previous = self.recorded.get(ref.dataset_name)
        if previous is None or previous.etag != ref.etag:
            self._import_changed(ref)
        elif not previous.problems:
            self.unchanged += 1
        elif previous.checked_by != self._rules_key:
            self._import_changed(ref)
        else:
            self._add_failure(previous.dataset_name, previous.problems)

    def remove_missing(self, missing: Sequence[CodeObject], *, listed: int) -> None:
        """Remove the workflows whose objects are missing, unless their number suggests a mistake."""
        workflows = {
            code_object.dataset_name: self.context.db.workflows.workflow(code_object.dataset_name)
            for code_object in missing
        }
        removable = {
            name: workflow for name, workflow in workflows.items() if workflow is not None and _is_code(workflow)
        }
        reason = self._removal_objection(len(removable), listed) if removable else None
        if reason is not None:
            self._skip(sorted(removable), reason)
        for code_object in missing:
            workflow = removable.get(code_object.dataset_name)
            if workflow is None:
                self.missing.append(code_object)
                self._reconsider_displaced(code_object)
            elif reason is None:
                self._remove(workflow, code_object)

    def finish(self) -> SyncReport:
        """Record the objects that belong to no workflow, and return the report."""
        if (self.observed or self.missing) and not self.command.dry_run:
            self.context.db.code_objects.save_code_objects(self.observed, self.missing)
        report = SyncReport(
            added=tuple(sorted(self.added)),
            changed=tuple(sorted(self.changed)),
            removed=tuple(sorted(self.removed)),
            overridden=tuple(sorted(self.overridden)),
            restored=tuple(sorted(self.restored)),
            failed=tuple(sorted(self.failed, key=lambda failure: failure.dataset_name)),
            guarded=tuple(self.guarded),
            unchanged=self.unchanged,
            dry_run=self.command.dry_run,
        )
        if not self.command.dry_run:
            _log_report(report)
        return report

    # Existing objects.

    def _import_changed(self, ref: StoredRef) -> None:
        name, dag_id = ref.dataset_name, dag_id_for(ref.dataset_name)
        if is_sentinel(dag_id):
            problem = Problem(message="this is the name of a loader file in Airflow; choose another one")
            self._record_invalid(None, self._code_object(name, ref.etag, (problem,)))
            return
        workflow = self.context.db.workflows.workflow(name)  # before the object is read, see the module docstring
        holder = self._holder(dag_id) if workflow is None else None
        if holder is not None:
            self._record_clash(name, dag_id, holder)
            return
        if workflow is not None and workflow.removal is not None and workflow.source_type is SourceType.MANUAL:
            self._skip([name], "The MANUAL workflow is being unregistered; a later sync imports the object.")
            return
        try:
            stored = self.context.storage.get(SourceType.CODE, name, limit=self.context.policy.rules.max_bytes)
        except InvalidRequest as error:
            self._record_invalid(workflow, self._code_object(name, ref.etag, error.problems))
            return
        if stored is None:  # removed since the listing
            return
        try:
            draft = self._draft(name, stored.text)
        except InvalidRequest as error:
            self._record_invalid(workflow, self._code_object(name, stored.etag, error.problems))
            return
        self._publish(workflow, draft, self._code_object(name, stored.etag, ()))

    def _publish(self, workflow: Workflow | None, draft: Workflow, code_object: CodeObject) -> None:
        name = draft.dataset_name
        if workflow is None:
            self.added_dag_ids[draft.dag_id] = name
            if self._record(draft, code_object):
                self.added.append(name)
        elif workflow.source_type is SourceType.MANUAL:
            if self._record(workflow.published(draft), code_object, previous=workflow):
                self.overridden.append(name)
        elif workflow.removal is not None:  # it was being unregistered, and waited for its tasks
            if self._record(workflow.published(draft), code_object, previous=workflow):
                self.added.append(name)
        elif workflow.yaml != draft.yaml or workflow.phase is Phase.FAILED:
            if self._record(workflow.published(draft), code_object, previous=workflow):
                self.changed.append(name)
        elif self._record(workflow, code_object, previous=workflow):
            self.unchanged += 1

    def _record_invalid(self, workflow: Workflow | None, code_object: CodeObject) -> None:
        """Record that an object is invalid.

        The loader then serves no DAG for its name, so an existing workflow becomes broken.
        """
        self._add_failure(code_object.dataset_name, code_object.problems)
        if workflow is None or workflow.removal is not None:
            self.observed.append(code_object)
            return
        url = self._url(code_object.dataset_name)
        reason = f"{url}: {'; '.join(map(str, code_object.problems))}"
        broken = workflow.broken(reason, s3_path=url, by=self.command.caller.name, at=self.context.clock.now())
        if self._record(broken, code_object, previous=workflow) and workflow.source_type is SourceType.MANUAL:
            self.overridden.append(code_object.dataset_name)

    def _record_clash(self, name: str, dag_id: str, holder: str) -> None:
        message = f"would have the Airflow DAG id {dag_id!r}, which workflow {holder!r} holds; rename one of the two"
        code_object = self._code_object(name, _CHECK_AGAIN, (Problem(message=message),))
        self._add_failure(name, code_object.problems)
        previous = self.recorded.get(name)
        if previous is None or previous.problems != code_object.problems:
            self.observed.append(code_object)
        holding = self.context.db.workflows.workflow(holder)
        if holding is not None and name < holder:  # the loader serves the first by name
            displaced = holding.failed(_displaced_by(name, dag_id), self.context.clock.now())
            if (holding.phase, holding.phase_reason) != (displaced.phase, displaced.phase_reason):
                self._record(displaced, None, previous=holding)

    def _holder(self, dag_id: str) -> str | None:
        holder = self.context.db.workflows.workflow_by_dag(dag_id)
        return self.added_dag_ids.get(dag_id) if holder is None else holder.dataset_name

    # Removed objects.

    def _removal_objection(self, leaving: int, listed: int) -> str | None:
        """Return why the removals are rejected; None if they are accepted."""
        if self.command.allow_removals:
            return None
        if listed == 0:
            return "The listing is empty: nothing is removed unless removals are allowed."
        page = self.context.db.workflows.list_workflows(
            WorkflowFilter(source_type=SourceType.CODE), PageRequest(limit=1)
        )
        share = self.context.policy.sync_max_removed
        if leaving <= max(ALWAYS_REMOVABLE, int(share * page.total)):
            return None
        return (
            f"{leaving} of {page.total} CODE workflows are gone, more than a share of {share:g}"
            " (WORKFLOWS_SYNC_MAX_REMOVED): nothing is removed unless removals are allowed."
        )

    def _remove(self, workflow: Workflow, code_object: CodeObject) -> None:
        name, now = workflow.dataset_name, self.context.clock.now()
        if self.context.storage.stat(SourceType.CODE, name) is not None:  # it was published again since the listing
            return
        if workflow.shadowed is None:
            unregistering = workflow.unregistering(self.command.caller.name, now)
            if self._record(unregistering, None, previous=workflow, action=Action.WITHDRAW):
                self.removed.append(name)
                self.missing.append(code_object)
            return
        # it was valid when it was accepted
        rules = SpecRules(max_bytes=len(workflow.shadowed.yaml.encode()), operators=("*",))
        try:
            manual = parse_complete_spec(workflow.shadowed.yaml, dataset_name=name, rules=rules)
        except InvalidRequest as error:
            self._skip([name], f"The MANUAL workflow that it overrides is no longer valid: {error.message}")
            return
        restored = workflow.restored(workflow.shadowed, manual.spec, manual.schedule, manual.owner, now)
        if self._record(restored, None, previous=workflow, action=Action.WITHDRAW):
            self.restored.append(name)
            self.missing.append(code_object)

    def _reconsider_displaced(self, code_object: CodeObject) -> None:
        """Reconsider the workflow that was displaced by an object that is now removed."""
        dag_id = dag_id_for(code_object.dataset_name)
        displaced = self.context.db.workflows.workflow_by_dag(dag_id) if code_object.etag == _CHECK_AGAIN else None
        if displaced is not None and displaced.phase_reason == _displaced_by(code_object.dataset_name, dag_id):
            now = self.context.clock.now()
            self._record(displaced.reconsidered(now), None, previous=displaced, action=Action.WITHDRAW)

    # Helpers.

    def _record(
        self,
        workflow: Workflow,
        code_object: CodeObject | None,
        *,
        previous: Workflow | None = None,
        action: Action = Action.PUBLISH,
    ) -> bool:
        """Record the workflow together with the observed object.

        Returns:
            Whether they were recorded; in a dry run, True.
        """
        if self.command.dry_run:
            return True
        caller = evolve(self.command.caller, key=None)  # the key identifies the sync as a whole
        act = None
        if workflow is not previous:
            act = on_workflow(caller, action, self.context.clock.now(), workflow, before=previous)
        try:
            if previous is None:
                self.context.db.workflows.add_workflow(workflow, seen=code_object, act=act)
            elif workflow.revision == previous.revision:
                self.context.db.workflows.save_workflow(workflow, seen=code_object, act=act)
            else:
                by, at = self.command.caller.name, workflow.updated_at
                revision = Revision(number=workflow.revision, yaml=workflow.yaml, by=by, at=at)
                self.context.db.workflows.revise_workflow(workflow, revision, seen=code_object, act=act)
        except (ConcurrentUpdate, WorkflowAlreadyExists):
            self._skip([workflow.dataset_name], "Another process is changing it; the next sync checks it again.")
            return False
        return True

    def _draft(self, name: str, text: str) -> Workflow:
        given = parse_complete_spec(text, dataset_name=name, rules=self.context.policy.rules)
        now = self.context.clock.now()
        return Workflow(
            id=uuid7(now),
            dataset_name=name,
            source_type=SourceType.CODE,
            spec=given.spec,
            yaml=text,
            s3_path=self._url(name),
            schedule=given.schedule,
            owner=given.owner,
            registered_by=self.command.caller.name,
            registered_at=now,
            updated_at=now,
        )

    def _code_object(self, name: str, etag: str, problems: Sequence[Problem]) -> CodeObject:
        previous = self.recorded.get(name)
        return CodeObject(
            dataset_name=name,
            etag=etag,
            seen_at=self.context.clock.now(),
            checked_by=self._rules_key,
            problems=tuple(problems),
            version=previous.version if previous else 0,
        )

    def _add_failure(self, name: str, problems: tuple[Problem, ...]) -> None:
        self.failed.append(FailedObject(dataset_name=name, url=self._url(name), problems=problems))

    def _skip(self, names: Sequence[str], reason: str) -> None:
        self.guarded.append(SkippedChange(dataset_names=tuple(names), reason=reason))

    def _url(self, name: str) -> str:
        return self.context.storage.url(SourceType.CODE, name)

    @property
    def _rules_key(self) -> str:
        return hashlib.sha256(self.context.policy.rules.key.encode()).hexdigest()[:12]


def _is_code(workflow: Workflow) -> bool:
    return workflow.source_type is SourceType.CODE and workflow.removal is None


def _displaced_by(name: str, dag_id: str) -> str:
    return f"Airflow serves the object of {name!r} in its place: both have the DAG id {dag_id!r}, and the first by name counts."


def _log_report(report: SyncReport) -> None:
    for change in ("added", "changed", "removed", "overridden", "restored"):
        for name in getattr(report, change):
            _log.info("CODE workflow %s: %s", name, change)
    for skipped in report.guarded:
        _log.warning("The sync held back %s: %s", ", ".join(skipped.dataset_names), skipped.reason)
