"""Validate files that are about to be published as CODE, all together, without any server."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.names import dag_id_for, is_sentinel
from workflow_core.domain.spec import parse_complete_spec
from workflow_core.domain.stored import name_of_file, stored_text
from workflow_core.errors import InvalidRequest, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from workflow_core.domain.spec import SpecRules


@frozen(kw_only=True)
class CheckedFile:
    """The result of validating one file.

    Attributes:
        dataset_name: the dataset of the file; None if the file name is not a dataset name.
        tasks: the number of its tasks.
        problems: what is invalid.
        warnings: what is valid but probably a mistake.
    """

    path: str
    dataset_name: str | None
    tasks: int
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()


def validate(files: Mapping[str, bytes], rules: SpecRules) -> tuple[CheckedFile, ...]:
    """Check each of ``files``, given by path, as a sync will; and that no two of them are in each other's way."""
    by_dag: dict[str, list[str]] = {}
    for path in sorted(files):
        name = name_of_file(PurePath(path).name)
        if name is not None:
            by_dag.setdefault(dag_id_for(name), []).append(path)
    return tuple(_checked(path, files[path], rules, by_dag) for path in sorted(files))


def _checked(path: str, data: bytes, rules: SpecRules, by_dag: Mapping[str, list[str]]) -> CheckedFile:
    name = name_of_file(PurePath(path).name)
    problems: list[Problem] = []
    warnings: tuple[Problem, ...] = ()
    tasks = 0
    if name is None:
        message = "the file's name must be a dataset name and '.yaml', such as iceberg.analytics.daily_clicks.yaml"
        problems.append(Problem(message=message, line=1, column=1))
    elif is_sentinel(dag_id_for(name)):
        message = "this is the name of a loader file in Airflow; choose another one"
        problems.append(Problem(message=message, line=1, column=1))
    try:
        parsed = parse_complete_spec(stored_text(data, rules.max_bytes), dataset_name=name, rules=rules)
        tasks, warnings = len(parsed.spec.tasks), parsed.warnings
    except InvalidRequest as error:
        problems += error.problems
    if name is not None:
        problems += _clashes(path, name, by_dag[dag_id_for(name)])
    return CheckedFile(path=path, dataset_name=name, tasks=tasks, problems=tuple(problems), warnings=warnings)


def _clashes(path: str, name: str, sharing: Sequence[str]) -> Iterator[Problem]:
    for other in sharing:
        if other == path:
            continue
        if PurePath(other).name == PurePath(path).name:
            message = f"{other} has the same name; only one can be published"
        else:
            message = f"{other} would have the same Airflow DAG id {dag_id_for(name)!r}; rename one of the two"
        yield Problem(message=message, line=1, column=1)
