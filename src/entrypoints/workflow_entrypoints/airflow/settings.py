"""The settings of the loader: ``dli airflow install`` writes them beside the loader files; the environment takes
precedence.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from workflow_core.domain.spec import DEFAULT_CALLABLES, DEFAULT_OPERATORS, SpecRules, parse_spec
from workflow_core.errors import ConfigurationError, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG_NAME: Final = "workflow_core_loader.json"

# The key in the file, and the variable that takes precedence over it.
_VARIABLES: Final = {
    "storage_url": "WORKFLOWS_STORAGE_URL",
    "cache": "WORKFLOWS_LOADER_CACHE",
    "allowed_operators": "WORKFLOWS_ALLOWED_OPERATORS",
    "allowed_callables": "WORKFLOWS_ALLOWED_CALLABLES",
    "default_task": "WORKFLOWS_DEFAULT_TASK",
    "max_yaml_bytes": "WORKFLOWS_MAX_YAML_BYTES",
}


_PATTERN: Final = re.compile(r"[\w.*?\[\]!-]{1,300}")
_NO_TASK: Final = 'WORKFLOWS_DEFAULT_TASK must be JSON like {"operator": "bash", "bash_command": "…"}'


def read_task(text: str | None, rules: SpecRules) -> dict[str, Any] | None:
    """Return the task of ``WORKFLOWS_DEFAULT_TASK``, checked by the rules for the tasks of a workflow; None if it is
    not set.

    Raises:
        ConfigurationError: it is not JSON of one task, or a registration would refuse it.
    """
    if not text:
        return None
    try:
        task = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"WORKFLOWS_DEFAULT_TASK is not JSON: {error}") from None
    if not isinstance(task, dict) or not isinstance(task.get("operator"), str):
        raise ConfigurationError(_NO_TASK)
    spec = {"version": "v1", "name": "default", "tasks": [{"task_id": "default", **task}]}
    try:
        parse_spec(json.dumps(spec), rules=rules)
    except InvalidRequest as error:
        message = "; ".join(
            f"{(problem.field or '').removeprefix('tasks[0].')}: {problem.message}" for problem in error.problems
        )
        raise ConfigurationError(f"WORKFLOWS_DEFAULT_TASK: {message}") from None
    return task


@frozen(kw_only=True)
class LoaderSettings:
    """The settings of one parse.

    ``cache`` is a folder of this host; ``default_task`` is the operator and arguments of the task of a workflow without
    tasks.
    """

    storage_url: str
    cache: Path
    rules: SpecRules
    default_task: Mapping[str, Any] | None = None

    def as_json(self, *, cache: Path | None = None) -> str:
        """Return the content of the settings file; equal settings give equal text. Without ``cache`` each host uses its
        default.
        """
        facts: dict[str, Any] = {"cache": str(cache.absolute())} if cache else {}
        facts |= {
            "storage_url": self.storage_url,
            "allowed_operators": list(self.rules.operators),
            "allowed_callables": list(self.rules.callables),
            "default_task": self.default_task,
            "max_yaml_bytes": self.rules.max_bytes,
        }
        return json.dumps(facts, indent=2, sort_keys=True) + "\n"


def read_settings(path: Path, environment: Mapping[str, str] | None = None) -> LoaderSettings:
    """Read the settings file and the environment, which takes precedence.

    Raises:
        ConfigurationError: the file cannot be read, or a value is wrong.
    """
    environment = os.environ if environment is None else environment
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}. Run `dli airflow install` again.") from None
    if not isinstance(facts, dict) or not {"storage_url"} <= facts.keys() <= _VARIABLES.keys():
        raise ConfigurationError(f"{path} is from another release. Run `dli airflow install` again.")
    overrides = {key: environment[name] for key, name in _VARIABLES.items() if environment.get(name)}
    return make_settings(environment=environment, **{**facts, **overrides})


def make_settings(  # noqa: PLR0913 - one for each setting, all by name
    *,
    storage_url: str,
    cache: str | None = None,
    allowed_operators: str | list[str] | tuple[str, ...] = DEFAULT_OPERATORS,
    allowed_callables: str | list[str] | tuple[str, ...] = DEFAULT_CALLABLES,
    default_task: str | Mapping[str, Any] | None = None,
    max_yaml_bytes: int | str = SpecRules().max_bytes,
    environment: Mapping[str, str] | None = None,
) -> LoaderSettings:
    """Return settings from values of a file or the environment; raises :class:`ConfigurationError`."""
    environment = os.environ if environment is None else environment
    home = environment.get("AIRFLOW_HOME") or str(Path.home() / "airflow")
    try:
        task = json.loads(default_task) if isinstance(default_task, str) else default_task
        size = int(max_yaml_bytes)
    except ValueError as error:
        raise ConfigurationError(f"WORKFLOWS_DEFAULT_TASK or WORKFLOWS_MAX_YAML_BYTES: {error}") from None
    if task is not None and not (isinstance(task, dict) and isinstance(task.get("operator"), str)):
        raise ConfigurationError(_NO_TASK)
    operators = _patterns("WORKFLOWS_ALLOWED_OPERATORS", allowed_operators, example=DEFAULT_OPERATORS[0])
    callables = _patterns("WORKFLOWS_ALLOWED_CALLABLES", allowed_callables, example="reports.*")
    return LoaderSettings(
        storage_url=storage_url,
        cache=Path(cache or Path(home) / "workflow_core_cache"),
        rules=SpecRules(max_bytes=size, operators=operators, callables=callables),
        default_task=task,
    )


def _patterns(setting: str, given: str | list[str] | tuple[str, ...], *, example: str) -> tuple[str, ...]:
    parts = given.split(",") if isinstance(given, str) else given
    patterns = tuple(pattern.strip() for pattern in parts if pattern.strip())
    wrong = [pattern for pattern in patterns if not _PATTERN.fullmatch(pattern)]
    if wrong or not patterns:
        raise ConfigurationError(f"{setting}: {', '.join(wrong) or 'empty'} is not a pattern, such as {example}")
    return patterns
