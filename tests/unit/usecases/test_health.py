"""The health of the systems that the service depends on."""

from __future__ import annotations


class TestHealth:
    def test_each_system_is_told(self, world):
        """All well, and each of the three down on its own."""
        assert world.usecases.health().ok
        world.airflow.go_down()
        world.storage.go_down()
        health = world.usecases.health()
        assert (health.ok, health.database.ok, health.storage.ok, health.airflow.ok) == (False, True, False, False)
