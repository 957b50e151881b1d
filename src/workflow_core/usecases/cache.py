"""Workflows as this process read them last."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workflow_core.domain.workflow import Workflow

KEPT: Final = 256
"""Workflows that are kept, each with its YAML."""


class WorkflowCache:
    """The workflows that runs were started of lately, each as it was read. Threads may share it.

    What is kept may be old by now: it is good for nothing but a change that says which version of the workflow it was decided on
    (``WorkflowPort.add_run``), which then needs no read before it.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Workflow] = OrderedDict()
        self._lock = Lock()

    def get(self, dataset_name: str) -> Workflow | None:
        """The workflow as it was read last, or None."""
        with self._lock:
            found = self._kept.get(dataset_name)
            if found is not None:
                self._kept.move_to_end(dataset_name)
            return found

    def keep(self, workflow: Workflow) -> None:
        """Keep a workflow that was read just now."""
        with self._lock:
            self._kept[workflow.dataset_name] = workflow
            self._kept.move_to_end(workflow.dataset_name)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
