"""``dli workflow sync`` and ``dli workflow validate``, for CI pipelines that publish CODE workflows and their maintainers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from attrs import define, field

from workflow_core.errors import Problem
from workflow_entrypoints.cli.output import Format

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workflow_core.api import FireItem
    from workflow_core.api.sync import SyncAnswer
    from workflow_core.domain.spec import SpecRules
    from workflow_core.usecases.queries.validate import CheckedFile

Output = Annotated[Format, typer.Option("--output", "-o", help="Output format.")]

_SIGNS = (("added", "+"), ("changed", "~"), ("overridden", "^"), ("restored", "v"), ("removed", "-"))


def sync(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes, make none.")] = False,
    allow_removals: Annotated[
        bool,
        typer.Option("--allow-removals", help="Unregister every workflow whose file is missing, even if many are."),
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Sync CODE workflows from the object store.

    Exits with code 1 if a file is refused or a change is held back.

    Example: dli workflow sync --dry-run
    """
    from workflow_core.api import SyncRequest
    from workflow_entrypoints.cli import exit_codes
    from workflow_entrypoints.cli.output import print_answer, printable
    from workflow_entrypoints.cli.session import get_api

    answer = get_api().sync(SyncRequest(dry_run=dry_run, allow_removals=allow_removals))
    if output is Format.TABLE:
        for line in _lines_of(answer):
            print(printable(line))
    else:
        print_answer(answer, output)
    if answer.failed or answer.guarded:
        raise typer.Exit(exit_codes.NOT_SUCCESSFUL)


def _lines_of(answer: SyncAnswer) -> Iterator[str]:
    for word, sign in _SIGNS:
        for name in getattr(answer, word):
            yield f"{sign} {name}  {word}"
    for failed in answer.failed:
        for found in failed.problems:
            place = f":{found.line}:{found.column}" if found.line else ""
            field = f"{found.field}: " if found.field else ""
            yield f"! {failed.url}{place}: {field}{found.message}"
    for held in answer.guarded:
        yield f"! held back: {', '.join(held.dataset_names)}: {held.reason}"
    counts = [f"{len(getattr(answer, word))} {word}" for word, _ in _SIGNS]
    counts += [f"{len(answer.failed)} failed", f"{answer.unchanged} unchanged"]
    yield f"{', '.join(counts)}{' (dry run: nothing was changed)' if answer.dry_run else ''}"


def validate(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="FILE|DIR", help="YAML files (- is standard input), or folders to publish."),
    ],
    name: Annotated[str | None, typer.Option("--name", help="The dataset name of FILE.")] = None,
    changes: Annotated[
        bool, typer.Option("--changes", help="Show what registering FILE would change, according to the service.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Check YAML files without a server.

    Prints file:line:column for each finding, and exits with code 1 if there is one.

    In a folder, every *.yaml file is checked as a CODE workflow: it must be complete, have the name of its file, and share neither
    name nor Airflow DAG id with another file. Files that end in .yml or .YAML are not published; each is a warning.

    With --changes, the service compares FILE with the registered workflow of its name, and lists the next fire times of both.

    Example: dli workflow validate workflows/
    """
    from workflow_entrypoints.cli import exit_codes
    from workflow_entrypoints.cli.output import print_warnings
    from workflow_entrypoints.settings import load_settings

    rules = load_settings().policy.rules
    if changes:
        _print_changes(paths, name, rules, output)
        return
    checks = _Checks()
    for path in paths:
        _check(path, name, rules, checks)
    _print_checks(checks, output)
    print_warnings(checks.warnings)
    if checks.unreadable:
        raise typer.Exit(exit_codes.WRONG_INPUT)
    if any(file.problems for file in checks.files):
        raise typer.Exit(exit_codes.NOT_SUCCESSFUL)


@define
class _Checks:
    """The results of a validation. ``unreadable`` contains the paths among ``files`` that could not be read at all."""

    files: list[CheckedFile] = field(factory=list)
    unreadable: set[str] = field(factory=set)
    warnings: list[str] = field(factory=list)

    def add_unreadable(self, path: str, message: str, name: str | None = None) -> None:
        """Add a file or folder that cannot be checked."""
        self.files.append(_checked(path, name, problems=(Problem(message=message),)))
        self.unreadable.add(path)


def _check(path: Path, name: str | None, rules: SpecRules, checks: _Checks) -> None:
    from workflow_core.errors import InvalidRequest
    from workflow_core.usecases.queries.validate import validate as validate_all
    from workflow_entrypoints.cli.folder import check_not_empty, read_folder, warnings_of

    try:
        if not _is_folder(path):
            checks.files.append(_of_file(path, name, rules))
            return
        found = read_folder(path, name)
        checks.warnings += warnings_of(path, found)
        for file, message in found.unreadable.items():
            checks.add_unreadable(file, message)
        check_not_empty(path, found)
        checks.files += validate_all(found.files, rules)
    except InvalidRequest as error:
        checks.add_unreadable(str(path), error.message, name)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # reading it reports the reason
        return False


def _print_checks(checks: _Checks, output: Format) -> None:
    from workflow_entrypoints.cli.output import counted, print_data, printable

    if output is not Format.TABLE:
        print_data(_as_data(checks), output)
        return
    for file in checks.files:
        for line in _findings(file, is_text=file.path not in checks.unreadable):
            print(printable(line), file=sys.stderr)
        if not file.problems:
            print(printable(f"{file.path}: ok, {counted(file.tasks, 'task')}"))


def _findings(file: CheckedFile, *, is_text: bool) -> Iterator[str]:
    for word, findings in (("", file.problems), ("warning: ", file.warnings)):
        for found in findings:
            field_name = f"{found.field}: " if found.field else ""
            place = f"{file.path}:{found.line or 1}:{found.column or 1}: {word}{field_name}" if is_text else "Error: "
            yield f"{place}{found.message}"


def _print_changes(paths: Sequence[Path], name: str | None, rules: SpecRules, output: Format) -> None:
    """Print what registering one file would change. The service finds the problems, unless the text contains no name."""
    import json

    from workflow_core.api import RegisterRequest
    from workflow_core.api.findings import checked
    from workflow_core.errors import InvalidRequest
    from workflow_entrypoints.cli import exit_codes
    from workflow_entrypoints.cli.inputs import decoded, read_bytes
    from workflow_entrypoints.cli.output import print_answer, print_warnings, printable
    from workflow_entrypoints.cli.session import get_api

    if len(paths) != 1 or _is_folder(paths[0]):
        raise InvalidRequest("needs one FILE", field="--changes")
    text = decoded(read_bytes(paths[0], "FILE"))
    name = name or _name_in(text, rules)
    answer = get_api().validate(checked(RegisterRequest, dataset_name=name, yaml_content=text))
    print_warnings(answer.warnings)
    if output is not Format.TABLE:
        print_answer(answer, output)
    elif not answer.valid:
        for found in answer.problems:
            place = f"{paths[0]}:{found.line}:{found.column}: " if found.line else ""
            print(printable(f"{place}{found.field}: {found.message}"), file=sys.stderr)
    elif not answer.registered:
        print(printable(f"{name} is not registered yet; it would fire at {_times(answer.next_runs)}"))
    elif not answer.changes:
        print(printable(f"{name}: nothing would change"))
    else:
        for change in answer.changes:
            before, after = (json.dumps(value, ensure_ascii=False) for value in (change.before, change.after))
            print(printable(f"~ {change.field}: {before} -> {after}"))
        print(printable(f"fires now: {_times(answer.next_runs_now)}"))
        print(printable(f"would fire: {_times(answer.next_runs)}"))
    if not answer.valid:
        raise typer.Exit(exit_codes.NOT_SUCCESSFUL)


def _name_in(text: str, rules: SpecRules) -> str:
    """Return the dataset name in the file.

    Raises:
        InvalidRequest: the file contains only the last segment of a name, or the text is not a spec.
    """
    from workflow_core.domain.names import check_dataset_name
    from workflow_core.domain.spec import parse_spec
    from workflow_core.errors import InvalidRequest

    name = parse_spec(text, rules=rules).name
    try:
        return check_dataset_name(name)
    except InvalidRequest:
        wrong = f"is required: the name in FILE, {name!r}, is not a full dataset name like iceberg.analytics.{name}"
        raise InvalidRequest(wrong, field="--name") from None


def _times(fires: Sequence[FireItem]) -> str:
    return ", ".join(f"{fire.local}{f' ({fire.daylight_saving})' if fire.daylight_saving else ''}" for fire in fires)


def _of_file(path: Path, name: str | None, rules: SpecRules) -> CheckedFile:
    """Check a single file; fields that a registration can add may be missing."""
    from workflow_core.domain.spec import check_spec
    from workflow_core.errors import InvalidRequest
    from workflow_entrypoints.cli.inputs import decoded, read_bytes

    data = read_bytes(path, "FILE")
    try:
        checked = check_spec(decoded(data), dataset_name=name, rules=rules)
    except InvalidRequest as error:
        return _checked(str(path), name, problems=error.problems)
    return _checked(str(path), name, tasks=len(checked.spec.tasks), warnings=checked.warnings)


def _checked(
    path: str,
    name: str | None,
    *,
    tasks: int = 0,
    problems: tuple[Problem, ...] = (),
    warnings: tuple[Problem, ...] = (),
) -> CheckedFile:
    from workflow_core.usecases.queries.validate import CheckedFile

    return CheckedFile(path=path, dataset_name=name, tasks=tasks, problems=problems, warnings=warnings)


def _as_data(checks: _Checks) -> dict[str, Any]:
    from attrs import asdict

    data = {"ok": not any(file.problems for file in checks.files), "files": [asdict(file) for file in checks.files]}
    return {**data, "warnings": checks.warnings}
