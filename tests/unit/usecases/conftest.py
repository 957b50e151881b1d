"""The world of the tests of the use cases; a file that needs another world defines a fixture of the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def make_world() -> Callable[..., World]:
    """Make a world in which nothing is registered; the arguments are fields of ``ServiceConfig``."""

    def make(**config: Any) -> World:
        return World.of(**config)

    return make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world in which nothing is registered."""
    return make_world()
