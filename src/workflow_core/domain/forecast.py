"""What is foreseen: fire times, and what registering a spec would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workflow_core.domain.schedule import FireTime
    from workflow_core.domain.workflow import Workflow


@frozen(kw_only=True)
class Forecast:
    """When a workflow fires next. While it is not active none of that happens: the times are those as if it were."""

    workflow: Workflow
    fires: Sequence[FireTime]


@frozen(kw_only=True)
class Change:
    """A field of a spec that would be another one; ``before`` None: it is new; ``after`` None: it goes."""

    field: str
    before: Any
    after: Any


@frozen(kw_only=True)
class Preview:
    """What registering a spec would do. ``current`` is what holds the name now, if somebody does."""

    draft: Workflow
    current: Workflow | None
    changes: Sequence[Change]
    diff: str
    fires: Sequence[FireTime]
    fires_now: Sequence[FireTime]
