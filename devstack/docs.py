"""``make docs``: the pages of ``docs/`` that are made from the code, so that they cannot be wrong.

:func:`pages` is also what ``tests/unit/devstack/test_docs.py`` compares with the committed files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer.main

from workflow_core.domain.spec.schema import json_schema
from workflow_entrypoints.cli import exit_codes
from workflow_entrypoints.cli.app import app as cli
from workflow_entrypoints.http.errors import STATUS
from workflow_entrypoints.http.openapi import openapi_document
from workflow_entrypoints.settings import NAMES, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
NOTE: Final = "<!-- Made by `make docs`; do not edit. -->"


def pages() -> dict[Path, str]:
    """Every generated page: where it stands, and its text."""
    return {
        DOCS / "http.md": "\n".join(_http(openapi_document())) + "\n",
        DOCS / "cli.md": "\n".join(_cli()) + "\n",
        DOCS / "configuration.md": "\n".join(_configuration()) + "\n",
        DOCS / "workflow.schema.json": json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
    }


def _http(document: Mapping[str, Any]) -> Iterator[str]:
    yield from (NOTE, "# HTTP reference", "")
    yield "Made from the OpenAPI document, which a running service answers at `/schema/openapi.json`."
    yield "Times are UTC, RFC 3339. Errors are `application/problem+json` (RFC 9457) with a stable `code`."
    for path, methods in sorted(document["paths"].items()):
        for method, operation in methods.items():
            if method in {"get", "post", "put", "patch", "delete"}:
                yield from _operation(document, method.upper(), path, operation)
    yield from ("", "## Error codes", "", "| Code | HTTP |", "|---|---|")
    yield from (
        f"| `{code}` | {status} |" for code, status in sorted(STATUS.items(), key=lambda item: (item[1], item[0]))
    )


def _operation(document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"## `{method} {path}`", "", operation.get("summary", ""))
    if text := operation.get("description"):
        yield from ("", text)
    parameters = operation.get("parameters", [])
    if parameters:
        yield from ("", "| Parameter | In | Type | Description |", "|---|---|---|---|")
        for parameter in parameters:
            kind = _kind(parameter.get("schema", {}))
            yield f"| `{parameter['name']}` | {parameter['in']} | {kind} | {_line(parameter.get('description', ''))} |"
    if body := operation.get("requestBody"):
        yield from _example("Request", document, next(iter(body["content"].values())).get("schema", {}))
    for status, answer in sorted(operation["responses"].items()):
        content = answer.get("content", {})
        if status.startswith("2") and content:
            yield from _example(f"Answer {status}", document, next(iter(content.values())).get("schema", {}))
    problems = [status for status in sorted(operation["responses"]) if not status.startswith("2")]
    if problems:
        problem_texts = (f"{status} ({_line(operation['responses'][status]['description'])})" for status in problems)
        yield from ("", f"Problems: {', '.join(problem_texts)}")


def _example(title: str, document: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    if "anyOf" in schema:
        schema = next(part for part in schema["anyOf"] if part.get("type") != "null")
    items = schema.get("type") == "array"
    schema = _resolved(document, schema["items"] if items else schema)
    if examples := schema.get("examples"):
        first = next(iter(examples.values()))["value"] if isinstance(examples, dict) else examples[0]
        text = json.dumps([first] if items else first, indent=2, ensure_ascii=False)
        yield from ("", f"{title}:", "", "```json", text, "```")
    if properties := schema.get("properties"):
        yield from ("", "| Field | Type | Description |", "|---|---|---|")
        for name, value in properties.items():
            found = _resolved(document, value)
            yield f"| `{name}` | {_kind(value)} | {_line(value.get('description') or found.get('description', ''))} |"


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        resolved: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return resolved
    return schema


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if parts := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_kind(part) for part in parts)
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    kind = schema.get("type", "any")
    return str(schema.get("format", kind) if isinstance(kind, str) else " or ".join(kind))


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _cli() -> Iterator[str]:
    yield from (NOTE, "# CLI reference", "")
    yield "`dli COMMAND --help` shows the same. Exit codes are at the end of this page."
    command = typer.main.get_command(cli)
    yield from _command(command, "dli", None)
    yield from ("", "## Exit codes", "", (exit_codes.__doc__ or "").strip())


def _command(command: Any, path: str, parent: Any) -> Iterator[str]:
    context = typer.Context(command, info_name=path.rpartition(" ")[2], parent=parent)
    subcommands = getattr(command, "commands", {})
    if not subcommands:
        yield from ("", f"## `{path}`", "", (command.help or "").replace("\b", "").strip(), "")
        yield from ("| Argument or option | Description |", "|---|---|")
        for parameter in command.get_params(context):
            names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
            yield f"| {names} | {_line(getattr(parameter, 'help', None) or '')} |"
    for name, sub in subcommands.items():
        yield from _command(sub, f"{path} {name}", context)


def _configuration() -> Iterator[str]:
    yield from (NOTE, "# Configuration", "")
    yield (
        "Environment first, then the YAML file named by `WORKFLOWS_CONFIG`, then the default. A place in the file is the name of the"
        " variable: `workflows: {s3: {bucket: x}}` is `WORKFLOWS_S3_BUCKET`. `dli config show` prints what is in force and where it"
        " comes from, secrets hidden."
    )
    yield ""
    yield (
        "In the file `${NAME}` is the value of an environment variable, and `${NAME:default}` has a default: everything after the first"
        " colon, which may be empty (then the setting is not set) and may have placeholders itself. A variable that is not set or empty"
        " and has no default is an error. Write `\\${` for the characters `${`. What a variable holds is not expanded again."
    )
    yield from ("", "| Variable | Default | Meaning |", "|---|---|---|")
    for name, attribute in NAMES.items():
        field = Settings.model_fields[attribute]
        default = field.default
        shown = ",".join(default) if isinstance(default, tuple) else default
        text = "the process's user" if name == "WORKFLOWS_USER" else "none" if shown is None else f"`{shown}`"
        yield f"| `{name}` | {text} | {_line(field.description or '')} |"


def main() -> None:
    """Write every page."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
