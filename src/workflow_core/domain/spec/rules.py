"""The rules of an installation: the operator classes, and the functions for ``python_callable``, that a spec may use.

Both are matched as text, so that a spec is checked without importing anything. The code that imports a path
checks the imported object again (``docs/adr/0031-allowed-operators-and-callables.md``).
"""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from attrs import frozen

from workflow_core.domain.names import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

DEFAULT_OPERATORS: Final = (
    "airflow.providers.*.operators.*",
    "airflow.providers.*.sensors.*",
    "airflow.providers.*.transfers.*",
)
"""The operator classes allowed by default: those of Airflow's providers, except :data:`REACHING`."""

DEFAULT_CALLABLES: Final = ("*",)
"""The functions allowed by default: every installed one, except those of :data:`PROTECTED` packages."""

REACHING: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "airflow.operators.trigger_dagrun.TriggerDagRunOperator",
            "airflow.providers.amazon.aws.operators.mwaa.MwaaTriggerDagRunOperator",
            "airflow.providers.google.cloud.operators.cloud_composer.CloudComposerTriggerDAGRunOperator",
            "airflow.providers.standard.operators.trigger_dagrun.TriggerDagRunOperator",
        ),
        "starts runs of other workflows",
    ),
    **dict.fromkeys(
        (
            "airflow.providers.standard.sensors.external_task.ExternalTaskMarker",
            "airflow.sensors.external_task.ExternalTaskMarker",
        ),
        "clears tasks of other workflows",
    ),
}
"""Operator classes that change other workflows, and how. Only a pattern without a wildcard allows one of them."""

PROTECTED: Final = frozenset(
    {*sys.stdlib_module_names, "airflow", "workflow_adapters", "workflow_core", "workflow_entrypoints"}
)
"""Top-level packages whose functions need a pattern that names the package: the standard library, Airflow, and this one."""

_WILDCARDS: Final = frozenset("*?[")


@frozen(kw_only=True)
class SpecRules:
    """The rules of an installation for specs.

    Attributes:
        max_bytes: the largest YAML, in bytes.
        operators: shell-style patterns over full class paths.
        callables: shell-style patterns over the import paths of functions.
    """

    max_bytes: int = 262_144
    operators: tuple[str, ...] = DEFAULT_OPERATORS
    callables: tuple[str, ...] = DEFAULT_CALLABLES

    @property
    def key(self) -> str:
        """A text that identifies the rules."""
        return f"{self.max_bytes} {' '.join(self.operators)} | {' '.join(self.callables)}"

    def allows(self, operator_class: str) -> bool:
        """Whether specs may use this operator class."""
        patterns: Iterable[str] = self.operators
        if operator_class in REACHING:
            patterns = (pattern for pattern in self.operators if not _WILDCARDS & set(pattern))
        return _matches(operator_class, patterns)

    def allows_callable(self, path: str) -> bool:
        """Whether specs may use this function."""
        if has_dunder(path):
            return False
        package = path.partition(".")[0]
        patterns: Iterable[str] = self.callables
        if package in PROTECTED:
            patterns = (pattern for pattern in self.callables if pattern.partition(".")[0] == package)
        return _matches(path, patterns)

    def callable_problem(self, path: str) -> str | None:
        """Return why a spec may not use this function; None if it may."""
        if self.allows_callable(path):
            return None
        if has_dunder(path):
            return f"{quoted(path)} contains a name with two underscores at both ends, which is not allowed in an import path"
        package = path.partition(".")[0]
        allowed = f"WORKFLOWS_ALLOWED_CALLABLES allows {', '.join(self.callables)}"
        if package in PROTECTED:
            return (
                f"{quoted(path)} is not allowed here: functions of {package!r} need a pattern that names it; {allowed}"
            )
        return f"{quoted(path)} is not allowed here; {allowed}"


def has_dunder(path: str) -> bool:
    """Whether a segment of an import path starts and ends with two underscores, as in ``venv.__main__.main``."""
    return any(part.startswith("__") and part.endswith("__") for part in path.split("."))


def reaching(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Return those of the class paths that change other workflows, each with the effect."""
    return ((path, REACHING[path]) for path in paths if path in REACHING)


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)
