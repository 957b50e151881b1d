"""One pass of the worker."""

from __future__ import annotations

from workflow_core.domain.workflow import Phase
from workflow_core.errors import (
    LoaderNotInstalled,
)


class TestSweep:
    def test_a_system_that_is_down_ends_the_pass_without_an_error(self, world):
        """The worker lives on; the next pass does the work."""
        world.register()
        world.airflow.go_down()
        assert world.sweeper.sweep().runs_observed == 0
        world.database.go_down()
        world.sweeper.sweep()

    def test_one_that_cannot_be_settled_does_not_keep_others_waiting(self, world, monkeypatch):
        """A loader that is gone for one workflow does not stop the next."""
        monkeypatch.setattr(world.airflow, "request_parse", lambda _: None)
        world.register("a.one")
        world.register("a.two")
        monkeypatch.undo()
        parse = world.airflow.request_parse
        first = world.context.sentinel_of(world.database.workflows.workflow("a.one"))

        def fails_for_one(sentinel):
            if sentinel == first:
                raise LoaderNotInstalled(sentinel)
            parse(sentinel)

        monkeypatch.setattr(world.airflow, "request_parse", fails_for_one)
        world.sweeper.sweep()
        assert world.database.workflows.workflow("a.one").phase is Phase.REGISTERING
        assert world.database.workflows.workflow("a.two").phase is Phase.SERVED
