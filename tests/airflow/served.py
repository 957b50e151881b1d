"""A DAG as Airflow serves it: serialised, read back, and asked for its next run. Of both generations of Airflow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow.timetables.base import DataInterval, TimeRestriction
from pendulum import instance

if TYPE_CHECKING:
    from datetime import datetime

try:  # Airflow 3
    from airflow.serialization.serialized_objects import DagSerialization as Serialization

    AIRFLOW_3 = True
except ImportError:  # Airflow 2.11
    from airflow.serialization.serialized_objects import SerializedDAG as Serialization

    AIRFLOW_3 = False


def serialized(dag: Any) -> str:
    """The DAG as its row in Airflow's database has it."""
    return json.dumps(Serialization.to_dict(dag), sort_keys=True)


def served(dag: Any) -> Any:
    """The DAG as the scheduler reads it from the database."""
    return Serialization.from_dict(json.loads(serialized(dag)))


def run_after(timetable: Any, last: datetime) -> Any:
    """The logical date of the run that the scheduler would make after the one of this date, with ``catchup`` off."""
    moment = instance(last)
    found = timetable.next_dagrun_info(
        last_automated_data_interval=DataInterval(moment, moment),
        restriction=TimeRestriction(None, None, catchup=False),
    )
    return found.logical_date


def first_run(dag: Any) -> Any:
    """The logical date of the run that the scheduler would make first."""
    before = "last_automated_run_info" if AIRFLOW_3 else "last_automated_dagrun"
    return served(dag).next_dagrun_info(**{before: None}).logical_date
