"""Builds a DAG from a checked spec, through dag-factory; and error DAGs and sentinel DAGs.

Equal specs give equal DAGs: everything is derived from the spec, sorted where order has no meaning, and nothing depends
on the time or the process. Otherwise Airflow 3 would write a new version of a DAG at every parse.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from workflow_core.domain.names import dag_id_for
from workflow_core.domain.served import ServedMark
from workflow_core.domain.spec import SHORT_OPERATORS, SpecRules
from workflow_core.domain.spec.arguments import durations_of
from workflow_core.domain.spec.operators import forbidden_arguments
from workflow_core.domain.spec.rules import reaching
from workflow_entrypoints.airflow.callables import DeferredImport, import_callable, stand_in
from workflow_entrypoints.airflow.macros import run_date_in
from workflow_entrypoints.airflow.timetable import FiresFrom

# dag-factory reports every run of a DAG that has its tag to its makers, unless this is set before it is imported. The
# DAGs built here also lack that tag, because its listener lives in the scheduler, whose environment we do not control.
# Only DagBuilder is used: dag-factory's reader of YAML files expands environment variables, creates objects of any
# `__type__` and reads a defaults.yml.
os.environ["AIRFLOW__DAG_FACTORY__ENABLE_TELEMETRY"] = "False"

from dagfactory.dagbuilder import HTTP_OPERATOR_CLASS, PYTHON_CALLABLE_CLASSES, DagBuilder

try:  # Airflow 3
    from airflow.sdk import DAG, BaseOperator, Param, get_parsing_context
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # Airflow 2.11
    from airflow.exceptions import AirflowFailException
    from airflow.models import DAG, BaseOperator
    from airflow.models.param import Param
    from airflow.utils.dag_parsing_context import get_parsing_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workflow_core.domain.spec import ParamSpec, WorkflowSpec
    from workflow_entrypoints.airflow.cache import CachedSpec
    from workflow_entrypoints.airflow.settings import LoaderSettings

_MAX_TAG: Final = 100  # characters, in Airflow's table
START: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The start date of every DAG: a run for an earlier date would have no tasks. The timetable determines when it first
fires.
"""

_MAX_MESSAGE: Final = 2000  # characters of an error that a DAG shows
_LATE: Final = ("execution_delta",)  # durations that dag-factory accepts only as text of whole seconds


def wanted_dag_id() -> str | None:
    """Return the one DAG that this parse is for (a task of it is about to run); None for all."""
    dag_id: str | None = get_parsing_context().dag_id
    return dag_id


def build_dag(spec: WorkflowSpec, cached: CachedSpec, *, spec_hash: str, settings: LoaderSettings) -> DAG:
    """Build the DAG of a workflow; raises the errors of its operators."""
    if spec.schedule is None:
        raise ValueError("schedule: is required")
    rules = settings.rules
    tasks = [_Task(task.task_id, task.operator_class, task.dependencies, task.arguments, rules) for task in spec.tasks]
    tasks = tasks or [_instead(settings.default_task, rules)]
    config: dict[str, Any] = {
        "description": spec.description,
        "schedule": FiresFrom(
            spec.schedule.cron,
            timezone=spec.schedule.timezone,
            not_before=max(spec.start_date or cached.published_at, cached.published_at),
        ),
        "start_date": START,
        "catchup": False,
        "is_paused_upon_creation": False,
        "default_args": {"owner": spec.owner or "unknown"},
        "params": {name: _param(param) for name, param in sorted(spec.declared.items())},
        "user_defined_macros": {"run_date": run_date_in(spec.schedule.timezone)},
        "tasks": [task.config() for task in tasks],
        "doc_md": _doc(spec, cached, ServedMark(spec_hash=spec_hash)),
    }
    dag_id = dag_id_for(cached.dataset_name)
    try:
        dag = DagBuilder(dag_name=dag_id, dag_config=config, default_config={}).build()["dag"]
    except Exception as error:
        raise _of_its_task(error, tasks) from error
    for task in tasks:
        task.finish(dag.task_dict[task.task_id])
    # Not dag-factory's own tag, by which its listener knows the DAGs to report.
    dag.tags = {tag for tag in (cached.source.value.lower(), spec.owner, spec.team) if tag and len(tag) <= _MAX_TAG}
    return dag


class _Task:
    """A task in dag-factory's terms.

    Raises:
        ValueError: an argument must not reach dag-factory, or the operator is not allowed.
        ImportError, TypeError: there is no such operator.
    """

    def __init__(
        self,
        task_id: str,
        operator: str,
        dependencies: list[str],
        arguments: Mapping[str, Any],
        rules: SpecRules,
    ) -> None:
        for name, reason in forbidden_arguments(arguments):
            raise ValueError(f"task {task_id!r}: {name}: {reason}")
        self.task_id = task_id
        self._operator = operator
        self._dependencies = sorted(dependencies)
        self._arguments = {name: _duration(operator, name, value) for name, value in arguments.items()}
        self._late = {
            name: self._arguments.pop(name) for name in _LATE if isinstance(self._arguments.get(name), timedelta)
        }
        try:
            kind = _operator_class(operator, rules)
        except (ImportError, TypeError, ValueError) as error:
            raise type(error)(f"task {task_id!r}: {error}") from error
        self._rules = rules
        self._has_callable = issubclass(kind, PYTHON_CALLABLE_CLASSES)
        self._body: Any = None
        if HTTP_OPERATOR_CLASS is not None and issubclass(kind, HTTP_OPERATOR_CLASS):
            self._body = self._arguments.pop("data", None)

    def config(self) -> dict[str, Any]:
        """The task in dag-factory's format."""
        return {
            **self._arguments,
            **self._deferred(),
            "task_id": self.task_id,
            "operator": self._operator,
            "dependencies": self._dependencies,
        }

    def _deferred(self) -> dict[str, Any]:
        """Return the function of the task unimported; dag-factory would import it at once."""
        path = self._arguments.get("python_callable")
        if not self._has_callable or not isinstance(path, str):
            return {}
        if wrong := self._rules.callable_problem(path):
            raise ValueError(f"task {self.task_id!r}: python_callable: {wrong}")
        deferred = DeferredImport(task_id=self.task_id, path=path, rules=self._rules)
        return {"python_callable": stand_in(deferred), "pre_execute": import_callable}

    def finish(self, task: Any) -> None:
        """Set the arguments that dag-factory would change: durations, and the JSON body of an HTTP task, which it turns
        into a function whose result Airflow does not render.
        """
        for name, value in self._late.items():
            setattr(task, name, value)
        if self._body is None:
            return
        headers = {str(name).lower(): str(value) for name, value in (self._arguments.get("headers") or {}).items()}
        is_json = "application/json" in headers.get("content-type", "").lower()
        task.data = json.dumps(self._body) if is_json and not isinstance(self._body, str) else self._body


def _operator_class(path: str, rules: SpecRules) -> type:
    """Return the class at a path. Modules re-export classes of others, so its own path must be allowed as well as the
    given one.
    """
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(import_module(module), name)
    except Exception as error:
        raise ImportError(f"operator {path}: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, BaseOperator)):
        raise TypeError(f"operator {path}: is not an operator class")
    own = _own_path(kind)
    if not (rules.allows(path) and rules.allows(own)):
        raise ValueError(f"operator {path}: is the class {own}, which WORKFLOWS_ALLOWED_OPERATORS does not allow")
    for base, effect in reaching(map(_own_path, kind.__mro__)):
        if own not in rules.operators and base not in rules.operators:
            raise ValueError(f"operator {path}: {effect}; WORKFLOWS_ALLOWED_OPERATORS has to name it in full")
    return kind


def _own_path(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _of_its_task(error: Exception, tasks: list[_Task]) -> Exception:
    """Return the error of a build with its task, which dag-factory does not report: each task is built alone to
    identify it.
    """
    with DAG("alone", schedule=None, start_date=START):
        for task in tasks:
            config = task.config()
            try:
                DagBuilder.make_task(config.pop("operator"), {k: v for k, v in config.items() if k != "dependencies"})
            except Exception as cause:  # noqa: BLE001 - any error of an operator
                return ValueError(f"task {task.task_id!r}: {type(cause).__name__}: {cause}")
    return error


def _duration(operator: str, name: str, value: Any) -> Any:
    """Convert an argument for Airflow: a spec contains durations in seconds."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    return timedelta(seconds=value) if name in durations_of(operator) else value


def _instead(default_task: Mapping[str, Any] | None, rules: SpecRules) -> _Task:
    """Return the task of a workflow without tasks: the default task of the installation, checked by its rules, or an
    empty one.
    """
    if default_task is None:
        return _Task("nothing_to_do", SHORT_OPERATORS["empty"], [], {}, SpecRules())
    arguments = dict(default_task)
    operator = arguments.pop("operator")
    task_id = arguments.pop("task_id", "default_task")
    return _Task(task_id, SHORT_OPERATORS.get(operator, operator), [], arguments, rules)


def _param(param: ParamSpec) -> Param:
    rules: dict[str, Any] = {}
    if param.type is not None:
        rules["type"] = [param.type, "null"] if param.default is None else param.type
    if param.enum is not None:
        rules["enum"] = param.enum if param.default in param.enum else [*param.enum, param.default]
    return Param(param.default, description=param.description, **rules)


def _doc(spec: WorkflowSpec, cached: CachedSpec, mark: ServedMark) -> str:
    lines = [spec.description or "", f"Workflow `{cached.dataset_name}`, {cached.source.value}.", mark.text()]
    return "\n\n".join(line for line in lines if line)


def sentinel_dag(dag_id: str) -> DAG:
    """Return the paused DAG by which the service finds this loader file; it never runs."""
    return DAG(
        dag_id,
        schedule=None,
        start_date=START,
        catchup=False,
        is_paused_upon_creation=True,
        tags=["workflow-core"],
        doc_md="Marks a loader file of workflow-core, so that it can be parsed on demand. Leave it paused.",
    )


class BrokenSpec(BaseOperator):
    """The one task of an error DAG: it fails at once, with the reason why the real DAG could not be built."""

    def __init__(self, *, message: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.message = message

    def execute(self, context: Any) -> None:  # noqa: ARG002 - Airflow's signature
        """Fail, without a retry."""
        raise AirflowFailException(self.message)


def error_dag(dag_id: str, message: str, *, spec_hash: str) -> DAG:
    """Return the DAG for a spec that cannot be built: visible, never scheduled, and a run of it fails with the reason."""
    message = message[:_MAX_MESSAGE]
    doc = f"This workflow cannot be built:\n\n```\n{message.replace('```', '')}\n```"
    dag = DAG(
        dag_id,
        schedule=None,
        start_date=START,
        catchup=False,
        is_paused_upon_creation=False,
        tags=["workflow-core-error"],
        doc_md=f"{doc}\n\n{ServedMark(spec_hash=spec_hash, error=message).text()}",
    )
    BrokenSpec(task_id="broken_spec", message=message, dag=dag)
    return dag
