"""The contract of ``WorkflowApi``: in this process and over HTTP, over the fakes and over SQLite."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.http_served import serving
from workflow_adapters.remote import RemoteWorkflowApi
from workflow_adapters.sql import SqlDatabase, make_engine
from workflow_core.testing.api import ApiContract, ApiWorld
from workflow_core.testing.api.subject import CALLER
from workflow_entrypoints.http import create_app
from workflow_entrypoints.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.http_served import Switchboard
    from workflow_core.api import WorkflowApi


@pytest.fixture(scope="module")
def board() -> Iterator[Switchboard]:
    with serving() as running:
        yield running


class InThisProcess:
    """The service, called directly."""

    @pytest.fixture
    def api(self, world: ApiWorld) -> WorkflowApi:
        return world.service


class OverHttp:
    """The service behind a real server on loopback."""

    @pytest.fixture
    def api(self, world: ApiWorld, board: Switchboard) -> Iterator[RemoteWorkflowApi]:
        board.app = create_app(world.service, Settings(user=CALLER.name))
        with RemoteWorkflowApi(board.url, patience=0) as api:
            yield api


class OverSqlite:
    """The service on an SQLite file."""

    @pytest.fixture
    def world(self, sqlite_template: Path, tmp_path: Path) -> Iterator[ApiWorld]:
        engine = make_engine(f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'workflows.db')}")
        yield ApiWorld(SqlDatabase(engine))
        engine.dispose()


class TestLocal(InThisProcess, ApiContract):
    """The oracle, which the other assertions of the suite verify."""


class TestLocalOverSqlite(InThisProcess, OverSqlite, ApiContract):
    """A real database."""


class TestRemote(OverHttp, ApiContract):
    """The client and the server."""


class TestRemoteOverSqlite(OverHttp, OverSqlite, ApiContract):
    """The client, the server and a real database."""
