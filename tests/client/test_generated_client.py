"""Tests of a client generated from the OpenAPI document, which must handle each response, including errors."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_served import serving
from workflow_core.testing.api.subject import NAME, ApiWorld, a_registration
from workflow_entrypoints.http import create_app, openapi_document
from workflow_entrypoints.settings import Settings

BIN = Path(os.environ.get("CLIENT_VENV", ".venv-client")).resolve() / "bin"
PACKAGE = "generated_workflow_client"


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """The folder of the generated client, and the output of the generator."""
    folder = tmp_path_factory.mktemp("client")
    document = folder / "openapi.json"
    document.write_text(json.dumps(openapi_document()))
    done = subprocess.run(
        [
            BIN / "openapi-python-client",
            "generate",
            "--path",
            document,
            "--output-path",
            folder / PACKAGE,
            "--meta",
            "none",
        ],
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return folder, done.stdout + done.stderr


@pytest.fixture
def client(generated, monkeypatch):
    """A function that imports a module of the generated client."""
    monkeypatch.syspath_prepend(str(generated[0]))
    yield lambda name: importlib.import_module(f"{PACKAGE}{name}")
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_the_generator_has_no_warning(generated):
    """Each warning is a response or parameter that the client would lack."""
    assert "WARNING" not in generated[1].upper()


def test_a_running_service_is_supported(client):
    """Successes and errors are typed: a 404 is a problem with its code, a matching ETag is not an error."""
    world = ApiWorld()
    world.service.register(a_registration())
    with serving() as board, client("").Client(base_url=board.url) as asking:
        board.app = create_app(world.service, Settings(user="x"))
        get: Any = client(".api.workflows.get_workflow")
        found = get.sync_detailed(NAME, client=asking)
        assert (found.status_code, found.parsed.dataset_name, found.parsed.revision) == (200, NAME, 1)
        again = get.sync_detailed(NAME, client=asking, if_none_match=found.headers["etag"])
        assert (again.status_code, again.parsed) == (304, None)
        missing = get.sync_detailed("no.such", client=asking)
        assert type(missing.parsed).__name__ == "ProblemAnswer"
        assert (missing.status_code, missing.parsed.status, missing.parsed.code) == (404, 404, "WORKFLOW_NOT_FOUND")
        wrong = client(".api.workflows.pause_workflow").sync_detailed(
            NAME, client=asking, body=client(".models").PauseRequest(reason="x" * 2000)
        )
        assert (wrong.status_code, wrong.parsed.code, wrong.parsed.errors[0].field) == (
            400,
            "INVALID_REQUEST",
            "reason",
        )
        listed = client(".api.workflows.list_workflows").sync(
            client=asking, status=client(".models").WorkflowStatus.ACTIVE
        )
        assert [item.dataset_name for item in listed] == [NAME]
        ready = client(".api.health.get_ready").sync_detailed(client=asking)
        assert (ready.status_code, ready.parsed.status) == (200, "ok")
