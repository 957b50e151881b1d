"""``dli workflow sync`` and ``dli workflow validate``: for CI pipelines that publish CODE workflows, and those who look after them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entrypoints.cli.output import Format

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workflow_core.api import FireItem
    from workflow_core.api.sync import SyncAnswer
    from workflow_core.domain.spec import SpecRules
    from workflow_core.usecases.validate import CheckedFile

Output = Annotated[Format, typer.Option("--output", "-o", help="How to print the answer.")]

_SIGNS = (("added", "+"), ("changed", "~"), ("overridden", "^"), ("restored", "v"), ("removed", "-"))


def sync(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be done, and change nothing.")] = False,
    allow_removals: Annotated[
        bool, typer.Option("--allow-removals", help="Remove whatever is gone, even if that is much or everything.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Take up what is published as CODE now (exit code 1 if something is refused or held back).

    Example: dli workflow sync --dry-run
    """
    from entrypoints.cli import exit_codes
    from entrypoints.cli.output import print_answer, printable
    from entrypoints.cli.session import get_api
    from workflow_core.api import SyncRequest

    answer = get_api().sync(SyncRequest(dry_run=dry_run, allow_removals=allow_removals))
    if output is Format.TABLE:
        for line in _told(answer):
            typer.echo(printable(line))
    else:
        print_answer(answer, output)
    if answer.failed or answer.guarded:
        raise typer.Exit(exit_codes.NOT_SUCCESSFUL)


def _told(answer: SyncAnswer) -> Iterator[str]:
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
        typer.Argument(metavar="FILE|DIR...", help="YAML files, - for standard input; or folders to be published."),
    ],
    name: Annotated[str | None, typer.Option("--name", help="The dataset name that a FILE must be for.")] = None,
    changes: Annotated[
        bool, typer.Option("--changes", help="Ask the service, too: what registering each FILE would change.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Check specs without any server; prints file:line:column for each finding (exit code 1) and each warning.

    Of a folder every *.yaml below it is checked as CODE: named by its file, complete in itself, and in nobody else's way.

    With --changes it also tells what is registered under the name now, what would be different, and the next fire times of both.

    Example: dli workflow validate workflows/
    """
    from entrypoints.cli import exit_codes
    from entrypoints.cli.output import print_data, print_error, printable
    from entrypoints.settings import load_settings
    from workflow_core.errors import InvalidRequest

    rules = load_settings().policy.rules
    if changes:
        _print_changes(paths, name, output)
        return
    code = exit_codes.OK
    checked: list[CheckedFile] = []
    for path in paths:
        try:
            checked += _of_folder(path, name, rules) if path.is_dir() else [_of_file(path, name, rules)]
        except InvalidRequest as error:
            print_error(error, output)
            code = exit_codes.WRONG_INPUT
    if any(file.problems for file in checked):
        code = code or exit_codes.NOT_SUCCESSFUL
    if output is not Format.TABLE:
        print_data(_as_data(checked), output)
    for file in checked if output is Format.TABLE else ():
        for line in _findings(file):
            typer.echo(printable(line), err=True)
        if not file.problems:
            typer.echo(printable(f"{file.path}: ok, {file.tasks} tasks"))
    if code:
        raise typer.Exit(code)


def _findings(file: CheckedFile) -> Iterator[str]:
    for word, found in (("", file.problems), ("warning: ", file.warnings)):
        for one in found:
            field = f"{one.field}: " if one.field else ""
            yield f"{file.path}:{one.line or 1}:{one.column or 1}: {word}{field}{one.message}"


def _print_changes(paths: Sequence[Path], name: str | None, output: Format) -> None:
    """Of one file: findings, too, are the service's then."""
    import json

    from entrypoints.cli import exit_codes
    from entrypoints.cli.inputs import decoded, read_bytes
    from entrypoints.cli.output import print_answer, print_warnings, printable
    from entrypoints.cli.session import get_api
    from workflow_core.api import RegisterRequest
    from workflow_core.api.findings import checked
    from workflow_core.errors import InvalidRequest

    if name is None or len(paths) != 1 or paths[0].is_dir():
        raise InvalidRequest("needs one FILE, and its name as --name", field="--changes")
    (path,) = paths
    request = checked(RegisterRequest, dataset_name=name, yaml_content=decoded(read_bytes(path, "FILE")))
    answer = get_api().validate(request)
    print_warnings(answer.warnings)
    if output is not Format.TABLE:
        print_answer(answer, output)
    elif not answer.valid:
        for found in answer.problems:
            typer.echo(printable(f"{found.field}: {found.message}"), err=True)
    elif not answer.registered:
        typer.echo(printable(f"{name} is not registered yet; it would fire at {_times(answer.next_runs)}"))
    elif not answer.changes:
        typer.echo(printable(f"{name}: nothing would change"))
    else:
        for change in answer.changes:
            before, after = (json.dumps(one, ensure_ascii=False) for one in (change.before, change.after))
            typer.echo(printable(f"~ {change.field}: {before} -> {after}"))
        typer.echo(printable(f"fires now: {_times(answer.next_runs_now)}"))
        typer.echo(printable(f"would fire: {_times(answer.next_runs)}"))
    if not answer.valid:
        raise typer.Exit(exit_codes.NOT_SUCCESSFUL)


def _times(fires: Sequence[FireItem]) -> str:
    return ", ".join(f"{fire.local}{f' ({fire.daylight_saving})' if fire.daylight_saving else ''}" for fire in fires)


def _of_file(path: Path, name: str | None, rules: SpecRules) -> CheckedFile:
    """A single file: the fields that a registration may add may be missing."""
    from entrypoints.cli.inputs import decoded, read_bytes
    from workflow_core.domain.spec import check_spec
    from workflow_core.errors import InvalidRequest, Problem
    from workflow_core.usecases.validate import CheckedFile

    data = read_bytes(path, "FILE")
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    tasks = 0
    try:
        checked = check_spec(decoded(data), dataset_name=name, rules=rules)
        tasks, warnings = len(checked.spec.tasks), checked.warnings
    except InvalidRequest as error:
        problems = error.problems
    return CheckedFile(path=str(path), dataset_name=name, tasks=tasks, problems=problems, warnings=warnings)


def _of_folder(folder: Path, name: str | None, rules: SpecRules) -> Sequence[CheckedFile]:
    from entrypoints.cli.inputs import read_bytes
    from entrypoints.cli.output import print_hint
    from workflow_core.errors import InvalidRequest
    from workflow_core.usecases.validate import validate as validate_all

    if name is not None:
        raise InvalidRequest("is for a single file; in a folder the file names are the names", field="--name")
    files = {str(path): read_bytes(path, "DIR") for path in sorted(folder.rglob("*.yaml")) if path.is_file()}
    if not files:
        raise InvalidRequest(f"there is no *.yaml below {folder}", field="DIR")
    if any(Path(path).parent != folder for path in files):
        print_hint("Some files are in subfolders: only what lies directly in code/ is taken up, so publish them flat.")
    return validate_all(files, rules)


def _as_data(checked: Sequence[CheckedFile]) -> dict[str, Any]:
    from attrs import asdict

    return {"ok": not any(file.problems for file in checked), "files": [asdict(file) for file in checked]}
