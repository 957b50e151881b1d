"""``WORKFLOWS_GRANTS``: what the users of an identity provider, or of a proxy in front, may do."""

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
    """A grant and its grantee: the name of a user, ``group:`` and the name of a group, or ``*`` for all authenticated
    users.
    """

    who: str
    grant: Grant


def read_grants(text: str) -> tuple[GrantRule, ...]:
    """Return the rules in a JSON list of objects with ``who``, ``role``, and optionally ``team`` and ``names``.

    Raises:
        ValueError: the text has another form; the message contains the position.
    """
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("must be a JSON list, or a list in the configuration file") from error
    if not isinstance(items, list):
        raise ValueError('must be a list, such as [{"who": "group:data", "role": "operator"}]')  # noqa: TRY004 - pydantic expects it
    return tuple(_rule(number, item) for number, item in enumerate(items))


def access_of(name: str, groups: Iterable[str], rules: Iterable[GrantRule]) -> Access:
    """Return the access of a user: the grants of the name, of its groups and of all users. Owners may operate their
    workflows.
    """
    grantees = {name, ANYBODY, *(GROUP + group for group in groups)}
    return Access(grants=tuple(dict.fromkeys(rule.grant for rule in rules if rule.who in grantees)))


def _rule(number: int, item: object) -> GrantRule:
    where = f"[{number}]"
    if not isinstance(item, dict):
        raise ValueError(f"{where} must be an object with who and role")  # noqa: TRY004 - pydantic expects it
    given = dict(item)
    who = given.pop("who", None)
    if not isinstance(who, str) or not _is_grantee(who):
        raise ValueError(
            f"{where}.who must be the name of a user, group:NAME, or *; the grants of API tokens are their own"
        )
    try:
        return GrantRule(who, grant_of(given))
    except InvalidRequest as error:
        raise ValueError(f"{where}.{error.message}") from error


def _is_grantee(who: str) -> bool:
    return who == ANYBODY or (who.startswith(GROUP) and len(who) > len(GROUP)) or is_user_name(who)
