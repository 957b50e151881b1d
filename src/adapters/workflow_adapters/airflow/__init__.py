"""``AirflowPort`` on httpx, for the REST APIs of Airflow 2.11 (``/api/v1``) and 3.x (``/api/v2``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Unpack

from workflow_adapters.airflow.auto import ClosableAirflow, auto_airflow
from workflow_adapters.airflow.v1 import AirflowV1
from workflow_adapters.airflow.v2 import AirflowV2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workflow_adapters.airflow.client import ClientSettings

__all__ = ["AirflowV1", "AirflowV2", "ClosableAirflow", "auto_airflow", "open_airflow"]

_KINDS: Final[Mapping[str, Callable[..., ClosableAirflow]]] = {
    "auto": auto_airflow,
    "v1": AirflowV1,
    "v2": AirflowV2,
}


def open_airflow(
    base_url: str, *, api: Literal["auto", "v1", "v2"] = "auto", **settings: Unpack[ClientSettings]
) -> ClosableAirflow:
    """Return the adapter for the Airflow at an address. No request is made yet.

    Args:
        base_url: the address of Airflow, without ``/api/v1`` or ``/api/v2``.
        api: ``v1`` (Airflow 2.11), ``v2`` (3.x), or ``auto``: detected at the first call.
        settings: see :class:`~workflow_adapters.airflow.client.AirflowClient`.

    Raises:
        ConfigurationError: a setting could not be used.
    """
    return _KINDS[api](base_url, **settings)
