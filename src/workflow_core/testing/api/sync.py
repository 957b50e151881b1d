"""Rules for CODE workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_core import errors
from workflow_core.api import SyncRequest
from workflow_core.domain.workflow import SourceType
from workflow_core.testing.api.subject import CALLER, NAME, YAML, ApiSubject, Twins

if TYPE_CHECKING:
    from workflow_core.testing.api.subject import ApiWorld


class SyncRules(ApiSubject):
    """Syncs, and the workflows that they import."""

    def test_a_sync_returns_a_report(self, twins: Twins) -> None:
        """The report lists each name by outcome, and each problem with its line."""
        twins.register()
        twins.each(lambda world: _publish(world, NAME, "a.b"))
        twins.each(lambda world: _publish(world, "a.broken", text="version: v1\nname: ünï\n"))
        plan = twins.answer(lambda api: api.sync(SyncRequest(dry_run=True)))
        assert plan.dry_run
        answer = twins.answer(lambda api: api.sync())
        assert (answer.added, answer.overridden, answer.dry_run) == (("a.b",), (NAME,), False)
        [failed] = answer.failed
        assert (failed.dataset_name, failed.problems[0].line) == ("a.broken", 2)
        assert twins.answer(lambda api: api.sync(SyncRequest())).unchanged == 2

    def test_removals_need_permission_if_the_store_is_empty(self, twins: Twins) -> None:
        """A sync of an emptied store unregisters nothing unless removals are allowed."""
        twins.each(lambda world: _publish(world, NAME))
        twins.answer(lambda api: api.sync())
        twins.each(lambda world: world.storage.delete(SourceType.CODE, NAME))
        [held] = twins.answer(lambda api: api.sync()).guarded
        assert held.dataset_names == (NAME,)
        assert twins.answer(lambda api: api.sync(SyncRequest(allow_removals=True))).removed == (NAME,)

    def test_a_code_workflow_shows_its_source(self, twins: Twins) -> None:
        """The workflow contains its source, the caller of the sync, and that it overrides a MANUAL workflow."""
        twins.register()
        twins.each(lambda world: _publish(world, NAME))
        twins.answer(lambda api: api.sync())
        workflow = twins.answer(lambda api: api.workflow(NAME))
        assert (workflow.source_type, workflow.overridden, workflow.registered_by) == (
            SourceType.CODE,
            True,
            CALLER.name,
        )

    def test_a_sync_without_the_store_raises(self, twins: Twins) -> None:
        """An unavailable store is not treated as an empty one."""
        twins.each(lambda world: world.storage.go_down())
        assert isinstance(twins.error(lambda api: api.sync()), errors.StorageUnavailable)


def _publish(world: ApiWorld, *names: str, text: str = YAML) -> None:
    for name in names:
        world.storage.put_raw(SourceType.CODE, name, text.format(name=name).encode())
