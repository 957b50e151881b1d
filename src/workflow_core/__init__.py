"""Scheduled dataset workflows on Apache Airflow: the core.

Embedding programs start here::

    from workflow_core import WorkflowService
    from workflow_core.embedded import in_memory_service

Everything else of the public surface: the entities in :mod:`workflow_core.domain`, the ports in
:mod:`workflow_core.ports`, the errors in :mod:`workflow_core.errors`, and, for those who write an adapter, the
contract suites in :mod:`workflow_core.testing`.
"""

from workflow_core.service import WorkflowService

__all__ = ["WorkflowService"]
