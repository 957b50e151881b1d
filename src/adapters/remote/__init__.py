"""The API over HTTP, for ``dli --server`` and for other programs."""

from adapters.remote.api import RemoteWorkflowApi

__all__ = ["RemoteWorkflowApi"]
