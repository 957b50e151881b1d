"""The contract of :class:`~workflow_core.ports.airflow.AirflowPort`.

Inherit from :class:`AirflowContract` in a class that pytest collects, and give the fixtures of
:class:`~workflow_core.testing.airflow.subject.AirflowSubject`.
"""

from workflow_core.testing.airflow.cleared import ClearedRunRules
from workflow_core.testing.airflow.ended import EndedRunRules
from workflow_core.testing.airflow.outage import AirflowOutageRules
from workflow_core.testing.airflow.paused import PausedDagRules
from workflow_core.testing.airflow.served import ServedDagRules
from workflow_core.testing.airflow.started import StartedRunRules
from workflow_core.testing.airflow.subject import AirflowSubject, BehindAirflow, DagSeed, TaskSeed
from workflow_core.testing.airflow.watched import WatchedRunRules

__all__ = ["AirflowContract", "AirflowSubject", "BehindAirflow", "DagSeed", "TaskSeed"]


class AirflowContract(
    ServedDagRules,
    PausedDagRules,
    StartedRunRules,
    EndedRunRules,
    ClearedRunRules,
    WatchedRunRules,
    AirflowOutageRules,
):
    """Every promise of the port, as tests."""
