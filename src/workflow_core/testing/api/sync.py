"""Workflows that are published as CODE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_core import errors
from workflow_core.api import SyncRequest
from workflow_core.domain.workflow import SourceType
from workflow_core.testing.api.subject import CALLER, NAME, YAML, ApiSubject, Twins

if TYPE_CHECKING:
    from workflow_core.testing.api.subject import ApiWorld


class SyncRules(ApiSubject):
    """Syncs, and what CODE workflows refuse."""

    def test_a_sync_is_answered_with_its_report(self, twins: Twins) -> None:
        """Each name in its list, and each finding with its place."""
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

    def test_what_is_gone_goes_if_it_may(self, twins: Twins) -> None:
        """An emptied store is held back, with its reason, unless removals are allowed."""
        twins.each(lambda world: _publish(world, NAME))
        twins.answer(lambda api: api.sync())
        twins.each(lambda world: world.storage.delete(SourceType.CODE, NAME))
        [held] = twins.answer(lambda api: api.sync()).guarded
        assert held.dataset_names == (NAME,)
        assert twins.answer(lambda api: api.sync(SyncRequest(allow_removals=True))).removed == (NAME,)

    def test_code_is_shown_as_such(self, twins: Twins) -> None:
        """By whom it was taken up, and what lies below it."""
        twins.register()
        twins.each(lambda world: _publish(world, NAME))
        twins.answer(lambda api: api.sync())
        shown = twins.answer(lambda api: api.workflow(NAME))
        assert (shown.source_type, shown.overridden, shown.registered_by) == (SourceType.CODE, True, CALLER.name)

    def test_a_store_that_is_away_is_an_error(self, twins: Twins) -> None:
        """And no empty one."""
        twins.each(lambda world: world.storage.go_down())
        assert isinstance(twins.error(lambda api: api.sync()), errors.StorageUnavailable)


def _publish(world: ApiWorld, *names: str, text: str = YAML) -> None:
    for name in names:
        world.storage.put_raw(SourceType.CODE, name, text.format(name=name).encode())
