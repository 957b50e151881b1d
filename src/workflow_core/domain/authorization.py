"""Who may do what: the one place where that is decided (the table is in ``docs/authorization.md``)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from attrs import frozen

from workflow_core.domain.access import Grant, Role
from workflow_core.errors import PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workflow_core.domain.caller import Caller
    from workflow_core.domain.workflow import Workflow


class Verb(StrEnum):
    """What somebody may do, or not."""

    VIEW = "view"
    """Look at a workflow, its runs, backfills, revisions and their audit."""
    VALIDATE = "validate"
    """Have a spec checked that is not registered."""
    RUN = "run"
    BACKFILL = "backfill"
    """Start, pause, resume and stop one."""
    STOP = "stop"
    RETRY = "retry"
    PAUSE = "pause"
    """Pause and unpause."""
    REGISTER = "register"
    """Register, revise and restore."""
    UNREGISTER = "unregister"
    SYNC = "sync"
    AUDIT = "audit"
    """Look at what everybody did."""


NEEDS: Final[Mapping[Verb, Role]] = {
    Verb.VIEW: Role.VIEWER,
    Verb.VALIDATE: Role.VIEWER,
    Verb.RUN: Role.OPERATOR,
    Verb.BACKFILL: Role.OPERATOR,
    Verb.STOP: Role.OPERATOR,
    Verb.RETRY: Role.OPERATOR,
    Verb.PAUSE: Role.OPERATOR,
    Verb.REGISTER: Role.AUTHOR,
    Verb.UNREGISTER: Role.AUTHOR,
    Verb.SYNC: Role.ADMIN,
    Verb.AUDIT: Role.ADMIN,
}
"""The least role that may do it."""

_RANK: Final = {role: rank for rank, role in enumerate(Role)}


@frozen(kw_only=True)
class Visibility:
    """The workflows that somebody may see: those of any of the ``grants``, and those that ``owner`` owns."""

    grants: tuple[Grant, ...] = ()
    owner: str | None = None

    def sees(self, workflow: Workflow) -> bool:
        """Whether it is one of them."""
        mine = self.owner is not None and workflow.owner == self.owner
        return mine or any(covers(grant, workflow.dataset_name, workflow.team) for grant in self.grants)


def covers(grant: Grant, dataset_name: str, team: str | None) -> bool:
    """Whether a workflow of this name and team is one that the grant is for."""
    of_team = grant.team is None or grant.team == team
    return of_team and (grant.names is None or matches(grant.names, dataset_name))


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text is as the pattern says, in which ``*`` stands for any text; in time that grows no faster than both."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def may_everywhere(caller: Caller, verb: Verb) -> bool:
    """Whether the caller may do it wherever that is."""
    return _enough((grant for grant in caller.access.grants if grant.team is None and grant.names is None), verb)


def may_somewhere(caller: Caller, verb: Verb) -> bool:
    """Whether there can be a workflow that the caller may do it with, not counting what it owns."""
    return _enough(caller.access.grants, verb)


def may(caller: Caller, verb: Verb, workflow: Workflow) -> bool:
    """Whether the caller may do it with this workflow. Who owns it may operate it."""
    if caller.access.owns and workflow.owner == caller.name and _RANK[NEEDS[verb]] <= _RANK[Role.OPERATOR]:
        return True
    return _enough((one for one in caller.access.grants if covers(one, workflow.dataset_name, workflow.team)), verb)


def sight_of(caller: Caller) -> Visibility:
    """The workflows that the caller may see."""
    return Visibility(grants=caller.access.grants, owner=caller.name if caller.access.owns else None)


def visible_to(caller: Caller) -> Visibility | None:
    """The same; None for whoever may see them all, so that nothing has to be looked up."""
    return None if may_everywhere(caller, Verb.VIEW) else sight_of(caller)


def denied(verb: Verb, workflow: Workflow | None = None) -> PermissionDenied:
    """The answer to somebody who may not. Of a workflow only if that may be seen."""
    role = NEEDS[verb]
    if workflow is None:
        return PermissionDenied(f"To {verb} needs the role {role}, granted everywhere.")
    team = f" of team {workflow.team!r}" if workflow.team else ""
    return PermissionDenied(f"To {verb} needs the role {role} for the workflow {workflow.dataset_name!r}{team}.")


def _enough(grants: Iterable[Grant], verb: Verb) -> bool:
    return any(_RANK[grant.role] >= _RANK[NEEDS[verb]] for grant in grants)
