"""Who somebody was found to be, and the names that nobody from outside can have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from workflow_core.domain.names import unstorable

if TYPE_CHECKING:
    from workflow_core.domain.access import Access

MAX_NAME: Final = 200
"""Characters of a name."""

TOKEN: Final = "token:"  # noqa: S105 - how the names of API tokens begin, not a secret
GROUP: Final = "group:"
ANYBODY: Final = "*"

_OURS: Final = frozenset({"anonymous", "scheduler", "sync", "system"})
"""Under these names the system itself records what it, or Airflow, has done."""


@frozen(kw_only=True)
class Identity:
    """A verified name, and what it may do."""

    name: str
    access: Access


def is_user_name(text: str) -> bool:
    """Whether a user from outside may be called so: nothing that could be taken for an API token, a group, everybody or the system
    itself, nothing that cannot be printed, and no blanks around it, which nobody would see.
    """
    legal = 0 < len(text) <= MAX_NAME and text.isprintable() and text.strip() == text and unstorable(text) is None
    return legal and text != ANYBODY and text.lower() not in _OURS and not text.lower().startswith((TOKEN, GROUP))
