"""What the routes of all kinds share. Litestar resolves the annotations at run time."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from litestar import Request
from litestar.di import NamedDependency
from litestar.params import FromPath

from workflow_core.api.base import Request as Body
from workflow_core.service import WorkflowService

ROOT: Final = "/api/v1/workflows"

AnyRequest: TypeAlias = Request[Any, Any, Any]
Api: TypeAlias = NamedDependency[WorkflowService]
DatasetName: TypeAlias = FromPath[str]


class NoFields(Body):
    """An empty object. The body may be left out."""
