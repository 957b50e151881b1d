"""In-process cache of recently read workflows."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workflow_core.domain.workflow import Workflow

MAX_ENTRIES: Final = 256
"""Maximum number of cached workflows, each with its YAML."""


class WorkflowCache:
    """Workflows of recently started runs, as last read. Thread-safe.

    An entry may be out of date. Use it only for a change that names the version of the workflow on which it is based
    (``WorkflowPort.add_run``); such a change then needs no read before it.
    """

    def __init__(self) -> None:
        self._workflows: OrderedDict[str, Workflow] = OrderedDict()
        self._lock = Lock()

    def get(self, dataset_name: str) -> Workflow | None:
        """Return the workflow as last read, or None."""
        with self._lock:
            workflow = self._workflows.get(dataset_name)
            if workflow is not None:
                self._workflows.move_to_end(dataset_name)
            return workflow

    def keep(self, workflow: Workflow) -> None:
        """Add a workflow that was just read."""
        with self._lock:
            self._workflows[workflow.dataset_name] = workflow
            self._workflows.move_to_end(workflow.dataset_name)
            if len(self._workflows) > MAX_ENTRIES:
                self._workflows.popitem(last=False)
