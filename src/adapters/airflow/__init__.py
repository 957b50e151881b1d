"""``AirflowPort`` on httpx, for the REST API of Airflow 3 (``/api/v2``)."""

from adapters.airflow.client import AirflowClient
from adapters.airflow.v2 import AirflowV2

__all__ = ["AirflowClient", "AirflowV2"]
