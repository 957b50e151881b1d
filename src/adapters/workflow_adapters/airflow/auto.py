"""The Airflow adapter that detects the server's version."""

from __future__ import annotations

import re
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Final, Protocol, Unpack

from workflow_adapters.airflow import errors
from workflow_adapters.airflow.v1 import AirflowV1
from workflow_adapters.airflow.v2 import AirflowV2
from workflow_adapters.delegation import delegating
from workflow_core.ports.airflow import AirflowPort

if TYPE_CHECKING:
    from workflow_adapters.airflow.client import ClientSettings
    from workflow_adapters.airflow.rest import AirflowRest

_MAJOR: Final = re.compile(r"([0-9]+)\.[0-9]")


class ClosableAirflow(AirflowPort, Protocol):
    """An :class:`~workflow_core.ports.airflow.AirflowPort` that holds connections."""

    def close(self) -> None:
        """Close the connections to Airflow."""
        ...


def auto_airflow(base_url: str, *, overlap: float = 10.0, **settings: Unpack[ClientSettings]) -> ClosableAirflow:
    """Return an adapter for Airflow 2.11 or 3.x, whichever answers; threads may share it.

    It asks for the version at the first call, and again when Airflow reports that the API no longer exists: after an
    upgrade. Only a response with a version counts. An unreachable Airflow, or the page of a gateway, decides nothing.
    Until an Airflow has answered, ``logs_url`` gives the page of Airflow 3.

    Args:
        base_url: the address of Airflow, without ``/api/v1`` or ``/api/v2``.
        overlap: see :class:`~workflow_adapters.airflow.rest.AirflowRest`.
        settings: see :class:`~workflow_adapters.airflow.client.AirflowClient`.
    """
    dialect = _Dialect(
        AirflowV1(base_url, overlap=overlap, **settings), AirflowV2(base_url, overlap=overlap, **settings)
    )
    return delegating(ClosableAirflow, dialect.call, close=dialect.close, logs_url=dialect.logs_url)


class _Dialect:
    """Detects which of the two adapters the server understands, and calls that one."""

    def __init__(self, v1: AirflowV1, v2: AirflowV2) -> None:
        self._v1 = v1
        self._v2 = v2
        self._current: AirflowRest | None = None

    def close(self) -> None:
        self._v1.close()
        self._v2.close()

    def logs_url(self, dag_id: str, run_id: str) -> str:
        return (self._current or self._v2).logs_url(dag_id, run_id)

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        request = methodcaller(name, *args, **kwargs)
        with self._v2.one_call():
            adapter = self._current or self._detect()
            try:
                return request(adapter)
            except errors.NoSuchApi:  # nothing was done
                detected = self._detect()
                if detected is adapter:
                    raise
                return request(detected)

    def _detect(self) -> AirflowRest:
        """Ask the server for its version. Threads may do so concurrently: they detect the same."""
        self._current = self._v2 if _is_supported(self._v2, at_least=3) else self._older()
        return self._current

    def _older(self) -> AirflowRest:
        if not _is_supported(self._v1, at_least=2):
            raise errors.no_route()
        return self._v1


def _is_supported(adapter: AirflowRest, *, at_least: int) -> bool:
    """Whether an Airflow of this major version, or a later one, answers in the dialect of the adapter."""
    try:
        major = _MAJOR.match(adapter.version())
    except errors.NoSuchApi:
        return False
    if major is None:
        raise errors.bad_body(changes=False)
    return int(major[1]) >= at_least
