"""``WORKFLOWS_GRANTS``: what those may do whom the identity provider, or a proxy in front, vouches for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.access import Access
from workflow_core.domain.grants import grant_of
from workflow_core.domain.identity import ANYBODY, GROUP, is_user_name
from workflow_core.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workflow_core.domain.access import Grant


@frozen
class GrantRule:
    """A grant, and whom it is for: the name of a user, ``group:`` and the name of a group, or ``*`` for everybody who is known."""

    who: str
    grant: Grant


def read_grants(text: str) -> tuple[GrantRule, ...]:
    """The rules in a JSON list of objects with ``who``, ``role``, and if wanted ``team`` and ``names``.

    Raises:
        ValueError: it is something else; the message says where.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("must be a JSON list, or a list in the configuration file") from error
    if not isinstance(found, list):
        raise ValueError('must be a list, such as [{"who": "group:data", "role": "operator"}]')  # noqa: TRY004 - pydantic asks for it
    return tuple(_rule(number, item) for number, item in enumerate(found))


def access_of(name: str, groups: Iterable[str], rules: Iterable[GrantRule]) -> Access:
    """What a user may do: all that is granted to the name, to one of the groups, or to everybody; and what one owns, one may operate."""
    mine = {name, ANYBODY, *(GROUP + group for group in groups)}
    return Access(grants=tuple(dict.fromkeys(rule.grant for rule in rules if rule.who in mine)))


def _rule(number: int, item: object) -> GrantRule:
    where = f"[{number}]"
    if not isinstance(item, dict):
        raise ValueError(f"{where} must be an object with who and role")  # noqa: TRY004 - pydantic asks for it
    given = dict(item)
    who = given.pop("who", None)
    if not isinstance(who, str) or not _can_be(who):
        raise ValueError(
            f"{where}.who must be the name of a user, group:NAME, or *; the grants of API tokens are their own"
        )
    try:
        return GrantRule(who, grant_of(given))
    except InvalidRequest as error:
        raise ValueError(f"{where}.{error.message}") from error


def _can_be(who: str) -> bool:
    return who == ANYBODY or (who.startswith(GROUP) and len(who) > len(GROUP)) or is_user_name(who)
