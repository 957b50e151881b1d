"""Tests that the documentation agrees with the code."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
import typer.main
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from devstack.docs import DOCS, pages
from workflow_core.domain.spec import parse_spec
from workflow_entrypoints.cli.app import app
from workflow_entrypoints.http.errors import STATUS
from workflow_entrypoints.http.openapi import openapi_document
from workflow_entrypoints.settings import NAMES, load_settings

if TYPE_CHECKING:
    from pathlib import Path

ROOT = DOCS.parent
PROSE = [
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(DOCS.glob("*.md")),
    ROOT / "examples" / "daily_clicks" / "README.md",
]


@pytest.mark.parametrize("path", [path.name for path in pages()])
def test_generated_pages_are_current(path):
    """``make docs`` was run after the last change."""
    (found,) = [(file, text) for file, text in pages().items() if file.name == path]
    assert found[0].read_text(encoding="utf-8") == found[1]


def test_every_setting_error_code_and_route_is_documented():
    """Nothing that exists is left out."""
    configuration = (DOCS / "configuration.md").read_text()
    assert [name for name in NAMES if f"`{name}`" not in configuration] == []
    http = (DOCS / "http.md").read_text()
    assert [code for code in STATUS if f"`{code}`" not in http] == []
    assert [path for path in openapi_document()["paths"] if f" {path}`" not in http] == []


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_shown_exists_with_its_options(path):
    """Each ``dli …`` line in a console block names a command, and options that it has."""
    root: Any = typer.main.get_command(app)
    for block in re.findall(r"```console\n(.*?)```", path.read_text(), re.DOTALL):
        for line in re.findall(r"^\$ dli (.*)$", block, re.MULTILINE):
            command, words = root, shlex.split(line.partition("#")[0])
            while words and getattr(command, "commands", None):
                command = command.commands[words.pop(0)]
            known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            assert {word for word in words if word.startswith("-") and word != "-"} <= known, line


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_target_that_is_shown_exists(path):
    """Each ``make …`` line names a target."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = re.findall(r"(?:^\$ |`)make ([a-z-]+)", path.read_text(), re.MULTILINE)
    assert set(shown) <= targets


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(path):
    """No page links to a file that is not there."""
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


def heading_anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_to_one(path):
    """A link with an anchor names a heading of its page."""
    links = re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", path.read_text(encoding="utf-8"))
    pages = [((path.parent / page) if page else path, anchor) for page, anchor in links]
    assert [anchor for page, anchor in pages if anchor not in heading_anchors(page)] == []


@pytest.mark.parametrize("path", [*PROSE, *sorted(DOCS.glob("adr/*.md"))], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_of_the_project_that_a_page_names_exists(path):
    """A path in a code span begins in the root, in ``src`` or in one of the packages."""
    spans = re.findall(
        r"`((?:src|tests|docs|devstack|benchmarks|usecases|domain|ports|api)/[^`\s…:{]*)[`:]",
        path.read_text(encoding="utf-8"),
    )
    folders = [ROOT, ROOT / "src" / "workflow_core"]
    assert [span for span in spans if not any([*folder.glob(span)] for folder in folders)] == []


def test_the_yaml_that_is_shown_is_good_and_fits_the_schema():
    """Whole specs in the documentation pass the checks of a registration and of the JSON Schema."""
    validator = Draft202012Validator(json.loads((DOCS / "workflow.schema.json").read_text()))
    specs = [
        block
        for path in PROSE
        for block in re.findall(r"```yaml\n(.*?)```", path.read_text(), re.DOTALL)
        if "version: v1" in block
    ]
    specs.append((ROOT / "examples" / "daily_clicks" / "workflow.yaml").read_text())
    assert len(specs) >= 3
    for text in specs:
        parse_spec(text)
        data = YAML(typ="safe", pure=True).load(text)
        validator.validate(json.loads(json.dumps(data, default=str)))


def test_the_configuration_that_is_shown_is_read(tmp_path):
    """Each piece of a configuration file in the documentation has settings that exist, of values that they take."""
    text = "\n".join(path.read_text() for path in PROSE)
    shown = [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if block.startswith("workflows:")]
    assert len(shown) >= 3
    for block in shown:
        (tmp_path / "application.yaml").write_text(block)
        load_settings({"WORKFLOWS_CONFIG": str(tmp_path / "application.yaml")})


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "v2", "name": "n"},
        {"version": "v1"},
        {"version": "v1", "name": "n", "typo": 1},
        {"version": "v1", "name": "n", "tasks": {"a": {}}},
        {"version": "v1", "name": "n", "tasks": [{"operator": "bash"}]},
        {"version": "v1", "name": "n", "params": {"no-word": 1}},
    ],
)
def test_the_schema_refuses_what_registration_refuses(wrong):
    """Editors warn of the same mistakes."""
    validator = Draft202012Validator(json.loads((DOCS / "workflow.schema.json").read_text()))
    assert not validator.is_valid(wrong)


def test_every_decision_ends_with_how_it_is_violated():
    """ADRs are short and can be held to."""
    for path in (DOCS / "adr").glob("*.md"):
        assert "A change violates this decision when" in path.read_text(), path.name
        assert len(path.read_text()) < 8000, path.name
