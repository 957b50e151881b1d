"""What a caller may see, as conditions on rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from workflow_adapters.sql.tables import workflows

if TYPE_CHECKING:
    from workflow_core.domain.access import Grant
    from workflow_core.domain.authorization import Visibility


def is_visible(visible: Visibility, dialect: str) -> sa.ColumnElement[bool]:
    """Whether a row of ``workflows`` is a visible workflow."""
    mine = [] if visible.owner is None else [workflows.c.owner == visible.owner]
    return sa.or_(sa.false(), *mine, *(_is_covered(grant, dialect) for grant in visible.grants))


def is_of_visible(workflow_id: sa.Column[object], visible: Visibility, dialect: str) -> sa.ColumnElement[bool]:
    """Whether the workflow with this id is visible."""
    return sa.exists().where(workflows.c.id == workflow_id, is_visible(visible, dialect))


def is_of_visible_name(dataset_name: sa.Column[str], visible: Visibility, dialect: str) -> sa.ColumnElement[bool]:
    """Whether a workflow has or had this name, and all such workflows are visible."""
    named = workflows.c.dataset_name == dataset_name
    return sa.exists().where(named) & ~sa.exists().where(named, ~is_visible(visible, dialect))


def _is_covered(grant: Grant, dialect: str) -> sa.ColumnElement[bool]:
    found: list[sa.ColumnElement[bool]] = [sa.true()]
    if grant.team is not None:
        team = workflows.c.spec["team"].as_string()
        found.append(sa.func.coalesce(team == grant.team, sa.false()))  # NOT of an unknown would also be unknown
    if grant.names is not None:
        found.append(_matches(grant.names, dialect))
    return sa.and_(*found)


def _matches(pattern: str, dialect: str) -> sa.ColumnElement[bool]:
    """Match a pattern in which only ``*`` is special. SQLite's LIKE ignores case; its GLOB does not."""
    name = workflows.c.dataset_name
    if dialect == "sqlite":
        return name.op("GLOB", is_comparison=True)("".join(f"[{one}]" if one in "?[" else one for one in pattern))
    escaped = pattern.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return name.like(escaped.replace("*", "%"), escape="\\")
