"""The exploration in short; ``make schema`` does much more of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.schema.explore import Explorer, as_documented, ask_in_every_way, in_an_outage, refused
from tests.schema.nobody import ask_as_nobody
from tests.schema.report import findings, table
from tests.schema.served import Served, served

ROOT = "/api/v1/workflows/{dataset_name}"


@pytest.fixture(scope="module")
def there(postgres):
    """A service with a worker."""
    with tempfile.TemporaryDirectory(prefix="schema-") as folder, served(postgres, Path(folder)) as found:
        yield found


def test_every_answer_is_as_the_document_says(there):
    """To what it allows and to what it forbids; every operation but for the rarest is met in both ways."""
    explorer = Explorer(served=there, headers=there.headers)
    explored = explorer.explore(300, as_documented)
    print(table(explored))
    assert list(findings(explored)) == []
    assert len(explored.missed(explorer.document)) < 6, explored.missed(explorer.document)


def test_methods_that_the_document_does_not_have_are_405(there):
    """With those that it has in ``Allow``."""
    explorer = Explorer(served=there, headers=there.headers)
    explorer.plant()
    ask_in_every_way(explorer)
    assert list(findings(explorer.explored)) == []


@pytest.mark.parametrize("outage", [Served.without_storage, Served.without_database])
def test_during_an_outage_every_answer_is_as_the_document_says(there, outage):
    """503, where it cannot be otherwise."""
    explorer = Explorer(served=there, headers=there.headers)
    explorer.plant()
    with outage(there):
        explored = explorer.explore(60, in_an_outage, plants=False)
    assert list(findings(explored)) == []
    assert {status for counted in explored.statuses.values() for status in counted if status >= 500} == {503}


def test_an_answer_that_is_not_in_the_document_is_found(there):
    """A status, a header, a field of the answer, a value that is forbidden: of each of these the document is told otherwise. Which cases
    a run makes depends on what there is to ask for, so a few runs may be needed, each with cases of its own.
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


def test_without_credentials_nothing_changes(postgres):
    """And nothing is told: 401, whoever somebody pretends to be."""
    with tempfile.TemporaryDirectory(prefix="schema-") as folder, served(postgres, Path(folder), worker=False) as there:
        nobody = ask_as_nobody(there, 60)
        print(table(nobody))
        assert list(findings(nobody)) == []
        before = there.facts()
        document = of_paths(there, f"{ROOT}/pause", f"{ROOT}/revisions")
        somebody = Explorer(served=there, headers=there.headers, document=document).explore(40, refused)
        assert len(somebody.findings) >= 2  # with credentials it is another matter
        assert there.facts() != before


def of_paths(there: Served, *paths: str) -> dict[str, Any]:
    document = there.document()
    return {**document, "paths": {path: document["paths"][path] for path in paths}}
