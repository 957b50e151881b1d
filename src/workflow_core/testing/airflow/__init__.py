"""The contract of :class:`~workflow_core.ports.airflow.AirflowPort`.

Inherit from :class:`AirflowContract` in a class that pytest collects, and override the fixtures of
:class:`~workflow_core.testing.airflow.subject.AirflowSubject`.
"""

from workflow_core.testing.airflow.dags import DagRules
from workflow_core.testing.airflow.outage import AirflowOutageRules
from workflow_core.testing.airflow.pauses import PauseRules
from workflow_core.testing.airflow.retries import RetryRules
from workflow_core.testing.airflow.runs import RunRules
from workflow_core.testing.airflow.stops import StopRules
from workflow_core.testing.airflow.subject import AirflowSubject, BehindAirflow, DagSeed, TaskSeed
from workflow_core.testing.airflow.triggers import TriggerRules

__all__ = ["AirflowContract", "AirflowSubject", "BehindAirflow", "DagSeed", "TaskSeed"]


class AirflowContract(
    DagRules,
    PauseRules,
    TriggerRules,
    StopRules,
    RetryRules,
    RunRules,
    AirflowOutageRules,
):
    """All rules of the port as tests."""
