"""Forecasts: fire times, and the effect of registering a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workflow_core.domain.schedule import FireTime
    from workflow_core.domain.workflow import Workflow


@frozen(kw_only=True)
class Forecast:
    """The next fire times of a workflow, as if it were active."""

    workflow: Workflow
    fires: Sequence[FireTime]


@frozen(kw_only=True)
class Change:
    """A field of a spec that would change; ``before`` None: it is added; ``after`` None: it is removed."""

    field: str
    before: Any
    after: Any


@frozen(kw_only=True)
class Preview:
    """The effect of registering a spec. ``current`` is the workflow that has the name now, if any."""

    draft: Workflow
    current: Workflow | None
    changes: Sequence[Change]
    diff: str
    fires: Sequence[FireTime]
    fires_now: Sequence[FireTime]
