"""The HTTP API (specification, sections 3.1 to 3.9) over :class:`workflow_core.service.WorkflowService`."""

from workflow_entrypoints.http.app import create_app
from workflow_entrypoints.http.openapi import openapi_document
from workflow_entrypoints.http.server import serve

__all__ = ["create_app", "openapi_document", "serve"]
