"""From a checked spec to a DAG, through dag-factory; and the DAGs that stand in where there is no spec to build.

Equal specs give equal DAGs: everything is derived from the spec, sorted where order has no meaning, and nothing depends on the
time or the process. Airflow 3 would otherwise write a new version of a DAG at every parse.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from entrypoints.airflow.macros import run_date_in
from workflow_core.domain.names import dag_id_for
from workflow_core.domain.served import ServedMark
from workflow_core.domain.spec import SHORT_OPERATORS

# dag-factory reports every run of a DAG that has its tag to its makers, unless told not to before it is imported. The DAGs made here do
# not keep that tag either, because its listener lives in the scheduler, whose environment is not ours.
os.environ["AIRFLOW__DAG_FACTORY__ENABLE_TELEMETRY"] = "False"

from airflow.exceptions import AirflowFailException
from dagfactory.dagbuilder import DagBuilder

try:  # Airflow 3
    from airflow.sdk import DAG, BaseOperator, CronTriggerTimetable, Param, get_parsing_context
except ImportError:  # Airflow 2.11
    from airflow.models import DAG, BaseOperator
    from airflow.models.param import Param
    from airflow.timetables.trigger import CronTriggerTimetable
    from airflow.utils.dag_parsing_context import get_parsing_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrypoints.airflow.cache import CachedSpec
    from workflow_core.domain.spec import ParamSpec, WorkflowSpec

_MAX_TAG: Final = 100  # characters, in Airflow's table
START: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""Where a spec has no ``start_date``; what is registered over the API always has one."""

# Arguments that Airflow wants as timedelta and YAML can only say as a number: seconds.
_SECONDS: Final = frozenset({"retry_delay", "max_retry_delay", "execution_timeout"})


def wanted_dag_id() -> str | None:
    """The one DAG that this parse is for (a task of it is about to run); None for all."""
    found: str | None = get_parsing_context().dag_id
    return found


def build_dag(spec: WorkflowSpec, cached: CachedSpec, *, spec_hash: str, default_task: Mapping[str, Any] | None) -> DAG:
    """The DAG of a workflow. Raises whatever the operators raise."""
    if spec.schedule is None:
        raise ValueError("schedule: is required")
    dag_id = dag_id_for(cached.dataset_name)
    config: dict[str, Any] = {
        "description": spec.description,
        "schedule": CronTriggerTimetable(spec.schedule.cron, timezone=spec.schedule.timezone),
        "start_date": spec.start_date or START,
        "catchup": False,
        "is_paused_upon_creation": False,
        "default_args": {"owner": spec.owner or "unknown"},
        "params": {name: _param(param) for name, param in sorted(spec.params.items())},
        "user_defined_macros": {"run_date": run_date_in(spec.schedule.timezone)},
        "tasks": [_task(task.task_id, task.operator_class, task.dependencies, task.arguments) for task in spec.tasks]
        or [_instead(default_task)],
        "doc_md": _doc(spec, cached, ServedMark(spec_hash=spec_hash)),
    }
    dag = DagBuilder(dag_name=dag_id, dag_config=config, default_config={}).build()["dag"]
    dag.tags = {tag for tag in (cached.source.value.lower(), spec.owner, spec.team) if tag and len(tag) <= _MAX_TAG}
    return dag


def _task(task_id: str, operator: str, dependencies: list[str], arguments: Mapping[str, Any]) -> dict[str, Any]:
    given = {
        name: timedelta(seconds=value) if name in _SECONDS and isinstance(value, int | float) else value
        for name, value in arguments.items()
    }
    return {**given, "task_id": task_id, "operator": operator, "dependencies": sorted(dependencies)}


def _instead(default_task: Mapping[str, Any] | None) -> dict[str, Any]:
    """The task of a workflow without tasks: what the installation says, or nothing."""
    arguments = dict(default_task or {"operator": "empty"})
    operator = arguments.pop("operator")
    task_id = arguments.pop("task_id", "default_task" if default_task else "nothing_to_do")
    return _task(task_id, SHORT_OPERATORS.get(operator, operator), [], arguments)


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
    """The paused DAG by which the service finds this loader file; it never runs."""
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
    """The one task of an error DAG: fails at once, with the reason why the real DAG could not be built."""

    def __init__(self, *, message: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.message = message

    def execute(self, context: Any) -> None:  # noqa: ARG002 - Airflow's signature
        """Fail, without a retry."""
        raise AirflowFailException(self.message)


def error_dag(dag_id: str, message: str, *, spec_hash: str) -> DAG:
    """What is served for a spec that no DAG can be built from: visible, never scheduled, and a run of it fails with the reason."""
    doc = f"This workflow cannot be built:\n\n```\n{message.replace('```', '')}\n```"
    with DAG(
        dag_id,
        schedule=None,
        start_date=START,
        catchup=False,
        is_paused_upon_creation=False,
        tags=["workflow-core-error"],
        doc_md=f"{doc}\n\n{ServedMark(spec_hash=spec_hash, error=message).text()}",
    ) as dag:
        BrokenSpec(task_id="broken_spec", message=message)
    return dag
