"""The API over HTTP, for ``dli --server`` and for other programs."""

from workflow_adapters.remote.api import RemoteWorkflowApi

__all__ = ["RemoteWorkflowApi"]
