"""Grants as plain data, for storage, configuration and responses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from workflow_core.domain.access import Grant, Role
from workflow_core.domain.names import quoted
from workflow_core.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES_PATTERN: Final = r"^[A-Za-z0-9_.*-]{1,200}$"
"""A dataset name, or a part of one, in which ``*`` stands for any text."""

MAX_TEAM: Final = 200

_NAMES: Final = re.compile(NAMES_PATTERN.replace("$", r"\Z"))
_FIELDS: Final = frozenset({"role", "team", "names"})


def grant_of(given: Mapping[str, Any]) -> Grant:
    """Return the grant of ``{"role": …, "team": …, "names": …}``; the last two may be omitted or null.

    Raises:
        InvalidRequest: a key is unknown, or the role, team or pattern is not valid.
    """
    if unknown := sorted(str(name) for name in given if name not in _FIELDS):
        raise InvalidRequest("is not a field of a grant; the fields are role, team and names", field=quoted(unknown[0]))
    role, team, names = (given.get(name) for name in ("role", "team", "names"))
    if role not in tuple(Role):
        raise InvalidRequest(f"must be one of {', '.join(Role)}", field="role")
    if team is not None and not (isinstance(team, str) and team.isprintable() and 0 < len(team) <= MAX_TEAM):
        raise InvalidRequest(f"must be the name of a team, of at most {MAX_TEAM} characters", field="team")
    if names is not None and not (isinstance(names, str) and _NAMES.match(names)):
        msg = "must be a dataset name in which * stands for any text, such as iceberg.ads.*"
        raise InvalidRequest(msg, field="names")
    return Grant(role=Role(role), team=team, names=names)


def plain_grant(grant: Grant) -> dict[str, str | None]:
    """Return the grant as plain data, which :func:`grant_of` reads."""
    return {"role": grant.role.value, "team": grant.team, "names": grant.names}
