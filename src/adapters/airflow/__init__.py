"""``AirflowPort`` on httpx, for the REST APIs of Airflow 2.11 (``/api/v1``) and 3.x (``/api/v2``)."""

from adapters.airflow.v1 import AirflowV1
from adapters.airflow.v2 import AirflowV2

__all__ = ["AirflowV1", "AirflowV2"]
