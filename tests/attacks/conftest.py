"""Fixtures: the service over a real HTTP server, with fakes behind it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.http_served import serving
from tests.support.http_stack import USER, http_stack
from workflow_entrypoints.http import create_app
from workflow_entrypoints.settings import Settings


@pytest.fixture(scope="session")
def board():
    """One server for all tests."""
    with serving() as running:
        yield running


@pytest.fixture
def stack(board):
    """A client of a separate application with one workflow."""
    client: Any = httpx.Client(base_url=board.url, trust_env=False)
    with client, http_stack(client=client) as parts:
        board.app = create_app(parts.service, Settings(user=USER))
        parts.register()
        yield parts
