"""The verified identity of a caller, and the names that no external user can have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from workflow_core.domain.names import unstorable

if TYPE_CHECKING:
    from workflow_core.domain.access import Access

MAX_NAME: Final = 200
"""The maximum number of characters of a name."""

TOKEN: Final = "token:"  # noqa: S105 - how the names of API tokens begin, not a secret
GROUP: Final = "group:"
ANYBODY: Final = "*"

_RESERVED: Final = frozenset({"anonymous", "scheduler", "sync", "system"})
"""The names under which the service records its actions and those of Airflow."""


@frozen(kw_only=True)
class Identity:
    """A verified name and its access."""

    name: str
    access: Access


def is_user_name(text: str) -> bool:
    """Whether an external user may have this name.

    It must not be mistaken for an API token, a group, all users (``*``) or the service, and it must be printable, without
    surrounding blanks, which would be invisible.
    """
    legal = 0 < len(text) <= MAX_NAME and text.isprintable() and text.strip() == text and unstorable(text) is None
    return legal and text != ANYBODY and text.lower() not in _RESERVED and not text.lower().startswith((TOKEN, GROUP))
