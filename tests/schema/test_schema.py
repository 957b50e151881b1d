"""A short exploration; ``make schema`` runs a longer one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.schema.explore import Explorer, as_documented, ask_in_every_way, in_an_outage, refused
from tests.schema.report import findings, table
from tests.schema.served import Served, served
from tests.schema.unauthenticated import explore_unauthenticated

ROOT = "/api/v1/workflows/{dataset_name}"


@pytest.fixture(scope="module")
def there(postgres):
    """A service with a worker."""
    with tempfile.TemporaryDirectory(prefix="schema-") as folder, served(postgres, Path(folder)) as found:
        yield found


def test_every_response_conforms_to_the_document(there):
    """Valid and invalid requests get documented responses; all but the rarest operations are covered in both ways."""
    explorer = Explorer(served=there, headers=there.headers)
    explored = explorer.explore(300, as_documented)
    print(table(explored))
    assert list(findings(explored)) == []
    assert len(explored.missed(explorer.document)) < 6, explored.missed(explorer.document)


def test_undocumented_methods_are_405(there):
    """The response lists the documented methods in ``Allow``."""
    explorer = Explorer(served=there, headers=there.headers)
    explorer.plant()
    ask_in_every_way(explorer)
    assert list(findings(explorer.explored)) == []


@pytest.mark.parametrize("outage", [Served.without_storage, Served.without_database])
def test_responses_conform_to_the_document_during_an_outage(there, outage):
    """During an outage, a 503 is also allowed."""
    explorer = Explorer(served=there, headers=there.headers)
    explorer.plant()
    with outage(there):
        explored = explorer.explore(60, in_an_outage, plants=False)
    assert list(findings(explored)) == []
    assert {status for counted in explored.statuses.values() for status in counted if status >= 500} == {503}


def test_undocumented_responses_are_detected(there):
    """The document is changed in a status, a header, a field and a forbidden value, and each change must be found. The
    cases of a run depend on the existing resources, so that several runs with different cases may be needed.
    """
    document = of_paths(there, f"{ROOT}/explain", "/api/v1/whoami", "/dependencies", f"{ROOT}/pause")
    paths = document["paths"]
    del paths[f"{ROOT}/explain"]["get"]["responses"]["400"]
    paths["/api/v1/whoami"]["get"]["responses"]["200"]["headers"]["X-Never"] = {"required": True, "schema": {}}
    document["components"]["schemas"]["HealthAnswer"]["properties"]["status"] = {"const": "never"}
    document["components"]["schemas"]["PauseRequest"]["required"] = ["reason"]
    told_otherwise = {"explainWorkflow", "getCaller", "getDependencies", "pauseWorkflow"}
    found: set[str] = set()
    for number in range(1, 13):
        explorer = Explorer(served=there, headers=there.headers, document=document, number=number)
        found |= {kind.split(": ")[0] for kind in explorer.explore(160, as_documented).findings}
        if found >= told_otherwise:
            break
    assert found == told_otherwise


def test_unauthenticated_requests_change_nothing(postgres):
    """Each kind of invalid credentials gets 401, and nothing is disclosed."""
    with tempfile.TemporaryDirectory(prefix="schema-") as folder, served(postgres, Path(folder), worker=False) as there:
        unauthenticated = explore_unauthenticated(there, 60)
        print(table(unauthenticated))
        assert list(findings(unauthenticated)) == []
        before = there.facts()
        document = of_paths(there, f"{ROOT}/pause", f"{ROOT}/revisions")
        authenticated = Explorer(served=there, headers=there.headers, document=document).explore(40, refused)
        assert len(authenticated.findings) >= 2  # with valid credentials, requests do change the state
        assert there.facts() != before


def of_paths(there: Served, *paths: str) -> dict[str, Any]:
    document = there.document()
    return {**document, "paths": {path: document["paths"][path] for path in paths}}
