"""Take up what CI pipelines have published as CODE: compare what is in ``code/`` with what was seen, and record what changed.

One listing and one read of our own memory where nothing changed. Airflow follows as after a registration: the next sweep settles
what is recorded here. Any number of syncs may run at the same time: each save starts from a workflow that was read *before* its object
was, so that nobody's older sight of an object takes the place of a newer one.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Final

from attrs import define, evolve, field, frozen

from workflow_core.domain.act import Action, on_workflow
from workflow_core.domain.code import CodeObject, FailedObject, HeldBack, SyncReport
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

FEW: Final = 3
"""So many workflows may be removed at once, whatever share of all they are."""

HEARD_OF_AFTER: Final = 20
"""Objects after which a worker says that it still syncs; a few seconds at most."""

_LOOK_AGAIN: Final = ""
"""The ETag of an object that is refused for what others hold: no listing says this, so that every sync looks whether they still do."""


@frozen(kw_only=True)
class SyncCode:
    """The wish to take up what is published.

    ``dry_run`` tells what would be done and changes nothing; ``allow_removals`` removes whatever is gone, however much it is.
    """

    caller: Caller
    dry_run: bool = False
    allow_removals: bool = False


@define(kw_only=True)
class CodeSync:
    """One sync under way: what it has found so far."""

    command: SyncCode
    context: Context
    known: Mapping[str, CodeObject]
    seen: list[CodeObject] = field(factory=list)
    gone: list[CodeObject] = field(factory=list)
    taken: dict[str, str] = field(factory=dict)
    added: list[str] = field(factory=list)
    changed: list[str] = field(factory=list)
    removed: list[str] = field(factory=list)
    overridden: list[str] = field(factory=list)
    restored: list[str] = field(factory=list)
    failed: list[FailedObject] = field(factory=list)
    guarded: list[HeldBack] = field(factory=list)
    unchanged: int = 0

    def look_at(self, ref: StoredRef) -> None:
        """Take an object up if it is not as it was."""
        before = self.known.get(ref.dataset_name)
        if before is None or before.etag != ref.etag:
            self._take(ref)
        elif not before.problems:
            self.unchanged += 1
        elif before.checked_by != self._rules_key:
            self._take(ref)
        else:
            self._tell_failure(before.dataset_name, before.problems)

    def drop(self, gone: Sequence[CodeObject], *, listed: int) -> None:
        """Let go of what is published no more, unless that is too much to be meant."""
        held = {seen.dataset_name: self.context.db.workflows.workflow(seen.dataset_name) for seen in gone}
        leaving = {name: found for name, found in held.items() if found is not None and _is_of_code(found)}
        reason = self._too_many(len(leaving), listed) if leaving else None
        if reason is not None:
            self._hold(sorted(leaving), reason)
        for seen in gone:
            found = leaving.get(seen.dataset_name)
            if found is None:
                self.gone.append(seen)
                self._release(seen)
            elif reason is None:
                self._let_go(found, seen)

    def finish(self) -> SyncReport:
        """Record what belongs to no workflow, and tell."""
        if (self.seen or self.gone) and not self.command.dry_run:
            self.context.db.code_objects.save_code_objects(self.seen, self.gone)
        report = SyncReport(
            added=tuple(sorted(self.added)),
            changed=tuple(sorted(self.changed)),
            removed=tuple(sorted(self.removed)),
            overridden=tuple(sorted(self.overridden)),
            restored=tuple(sorted(self.restored)),
            failed=tuple(sorted(self.failed, key=lambda one: one.dataset_name)),
            guarded=tuple(self.guarded),
            unchanged=self.unchanged,
            dry_run=self.command.dry_run,
        )
        if not self.command.dry_run:
            _log_report(report)
        return report

    # Objects that are there.

    def _take(self, ref: StoredRef) -> None:
        name, dag_id = ref.dataset_name, dag_id_for(ref.dataset_name)
        if is_sentinel(dag_id):
            problem = Problem(message="this name would be that of a loader file in Airflow; choose another")
            self._refuse(None, self._seen(name, ref.etag, (problem,)))
            return
        found = self.context.db.workflows.workflow(name)  # before the object is read, see the top
        holder = self._holder(dag_id) if found is None else None
        if holder is not None:
            self._refuse_clash(name, dag_id, holder)
            return
        if found is not None and found.removal is not None and found.source_type is SourceType.MANUAL:
            self._hold([name], "The MANUAL workflow is being unregistered; a later sync takes the object up.")
            return
        try:
            stored = self.context.storage.get(SourceType.CODE, name, limit=self.context.policy.rules.max_bytes)
        except InvalidRequest as error:
            self._refuse(found, self._seen(name, ref.etag, error.problems))
            return
        if stored is None:  # gone since the listing; the next one does not have it
            return
        try:
            draft = self._draft(name, stored.text)
        except InvalidRequest as error:
            self._refuse(found, self._seen(name, stored.etag, error.problems))
            return
        self._publish(found, draft, self._seen(name, stored.etag, ()))

    def _publish(self, found: Workflow | None, draft: Workflow, seen: CodeObject) -> None:
        name = draft.dataset_name
        if found is None:
            self.taken[draft.dag_id] = name
            if self._record(draft, seen):
                self.added.append(name)
        elif found.source_type is SourceType.MANUAL:
            if self._record(found.published(draft), seen, read=found):
                self.overridden.append(name)
        elif found.removal is not None:  # it had gone, and its tasks were still at work
            if self._record(found.published(draft), seen, read=found):
                self.added.append(name)
        elif found.yaml != draft.yaml or found.phase is Phase.FAILED:
            if self._record(found.published(draft), seen, read=found):
                self.changed.append(name)
        elif self._record(found, seen, read=found):
            self.unchanged += 1

    def _refuse(self, found: Workflow | None, seen: CodeObject) -> None:
        """Record that an object is no good. Airflow serves none for its name then, so a workflow that is there is broken."""
        self._tell_failure(seen.dataset_name, seen.problems)
        if found is None or found.removal is not None:
            self.seen.append(seen)
            return
        url = self._url(seen.dataset_name)
        reason = f"{url}: {'; '.join(map(str, seen.problems))}"
        broken = found.broken(reason, s3_path=url, by=self.command.caller.name, at=self.context.clock.now())
        if self._record(broken, seen, read=found) and found.source_type is SourceType.MANUAL:
            self.overridden.append(seen.dataset_name)

    def _refuse_clash(self, name: str, dag_id: str, holder: str) -> None:
        message = f"would have the Airflow DAG id {dag_id!r}, which workflow {holder!r} holds; rename one of the two"
        seen = self._seen(name, _LOOK_AGAIN, (Problem(message=message),))
        self._tell_failure(name, seen.problems)
        before = self.known.get(name)
        if before is None or before.problems != seen.problems:
            self.seen.append(seen)
        found = self.context.db.workflows.workflow(holder)
        if found is not None and name < holder:  # the loader goes by the order of the names
            displaced = found.failed(_displaced_by(name, dag_id), self.context.clock.now())
            if (found.phase, found.phase_reason) != (displaced.phase, displaced.phase_reason):
                self._record(displaced, None, read=found)

    def _holder(self, dag_id: str) -> str | None:
        holder = self.context.db.workflows.workflow_by_dag(dag_id)
        return self.taken.get(dag_id) if holder is None else holder.dataset_name

    # Objects that are gone.

    def _too_many(self, leaving: int, listed: int) -> str | None:
        """Why so many removals are not believed; None if they are."""
        if self.command.allow_removals:
            return None
        if listed == 0:
            return "The listing is empty: nothing is removed unless removals are allowed."
        page = self.context.db.workflows.list_workflows(
            WorkflowFilter(source_type=SourceType.CODE), PageRequest(limit=1)
        )
        share = self.context.policy.sync_max_removed
        if leaving <= max(FEW, int(share * page.total)):
            return None
        return (
            f"{leaving} of {page.total} CODE workflows are gone, more than a share of {share:g} (WORKFLOWS_SYNC_MAX_REMOVED): nothing"
            " is removed unless removals are allowed."
        )

    def _let_go(self, found: Workflow, seen: CodeObject) -> None:
        name, now = found.dataset_name, self.context.clock.now()
        if self.context.storage.stat(SourceType.CODE, name) is not None:  # it has come back since the listing
            return
        if found.shadowed is None:
            gone = found.unregistering(self.command.caller.name, now)
            if self._record(gone, None, read=found, action=Action.WITHDRAW):
                self.removed.append(name)
                self.gone.append(seen)
            return
        rules = SpecRules(max_bytes=len(found.shadowed.yaml.encode()), operators=("*",))  # it was accepted once
        try:
            below = parse_complete_spec(found.shadowed.yaml, dataset_name=name, rules=rules)
        except InvalidRequest as error:
            self._hold([name], f"The MANUAL workflow below it cannot be read any more: {error.message}")
            return
        back = found.restored(found.shadowed, below.spec, below.schedule, below.owner, now)
        if self._record(back, None, read=found, action=Action.WITHDRAW):
            self.restored.append(name)
            self.gone.append(seen)

    def _release(self, seen: CodeObject) -> None:
        """An object that stood in another's way is gone."""
        dag_id = dag_id_for(seen.dataset_name)
        found = self.context.db.workflows.workflow_by_dag(dag_id) if seen.etag == _LOOK_AGAIN else None
        if found is not None and found.phase_reason == _displaced_by(seen.dataset_name, dag_id):
            now = self.context.clock.now()
            self._record(found.reconsidered(now), None, read=found, action=Action.WITHDRAW)

    # Helpers.

    def _record(
        self,
        workflow: Workflow,
        seen: CodeObject | None,
        *,
        read: Workflow | None = None,
        action: Action = Action.PUBLISH,
    ) -> bool:
        """Whether the workflow, and what was seen of its object, is recorded (in a dry run: would be)."""
        if self.command.dry_run:
            return True
        caller = evolve(self.command.caller, key=None)  # that of the sync as a whole
        act = None
        if workflow is not read:
            act = on_workflow(caller, action, self.context.clock.now(), workflow, before=read)
        try:
            if read is None:
                self.context.db.workflows.add_workflow(workflow, seen=seen, act=act)
            elif workflow.revision == read.revision:
                self.context.db.workflows.save_workflow(workflow, seen=seen, act=act)
            else:
                by, at = self.command.caller.name, workflow.updated_at
                revision = Revision(number=workflow.revision, yaml=workflow.yaml, by=by, at=at)
                self.context.db.workflows.revise_workflow(workflow, revision, seen=seen, act=act)
        except (ConcurrentUpdate, WorkflowAlreadyExists):
            self._hold([workflow.dataset_name], "Somebody else is changing it; the next sync looks at it again.")
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

    def _seen(self, name: str, etag: str, problems: Sequence[Problem]) -> CodeObject:
        before = self.known.get(name)
        return CodeObject(
            dataset_name=name,
            etag=etag,
            seen_at=self.context.clock.now(),
            checked_by=self._rules_key,
            problems=tuple(problems),
            version=before.version if before else 0,
        )

    def _tell_failure(self, name: str, problems: tuple[Problem, ...]) -> None:
        self.failed.append(FailedObject(dataset_name=name, url=self._url(name), problems=problems))

    def _hold(self, names: Sequence[str], reason: str) -> None:
        self.guarded.append(HeldBack(dataset_names=tuple(names), reason=reason))

    def _url(self, name: str) -> str:
        return self.context.storage.url(SourceType.CODE, name)

    @property
    def _rules_key(self) -> str:
        return hashlib.sha256(self.context.policy.rules.key.encode()).hexdigest()[:12]


def _is_of_code(found: Workflow) -> bool:
    return found.source_type is SourceType.CODE and found.removal is None


def _displaced_by(name: str, dag_id: str) -> str:
    return f"Airflow serves the object of {name!r} in its place: both have the DAG id {dag_id!r}, and the first by name counts."


def _log_report(report: SyncReport) -> None:
    for word in ("added", "changed", "removed", "overridden", "restored"):
        for name in getattr(report, word):
            _log.info("CODE workflow %s: %s", name, word)
    for held in report.guarded:
        _log.warning("the sync held back %s: %s", ", ".join(held.dataset_names), held.reason)
