"""Authorization: the one place that decides what a caller may do (the table is in ``docs/authorization.md``)."""

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
    """An action that needs authorization."""

    VIEW = "view"
    """View a workflow, its runs, backfills, revisions and their audit."""
    VALIDATE = "validate"
    """Validate a spec without registering it."""
    RUN = "run"
    BACKFILL = "backfill"
    """Start, pause, resume and stop a backfill."""
    STOP = "stop"
    RETRY = "retry"
    PAUSE = "pause"
    """Pause and unpause."""
    REGISTER = "register"
    """Register, revise and restore."""
    UNREGISTER = "unregister"
    SYNC = "sync"
    AUDIT = "audit"
    """View the audit entries of all callers."""


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
"""The lowest role that may perform each verb."""

_RANK: Final = {role: rank for rank, role in enumerate(Role)}


@frozen(kw_only=True)
class Visibility:
    """The workflows that a caller may view: those of any of the ``grants``, and those that ``owner`` owns."""

    grants: tuple[Grant, ...] = ()
    owner: str | None = None

    def sees(self, workflow: Workflow) -> bool:
        """Whether the caller may view the workflow."""
        is_owner = self.owner is not None and workflow.owner == self.owner
        return is_owner or any(covers(grant, workflow.dataset_name, workflow.team) for grant in self.grants)


def covers(grant: Grant, dataset_name: str, team: str | None) -> bool:
    """Whether the grant applies to a workflow of this name and team."""
    of_team = grant.team is None or grant.team == team
    return of_team and (grant.names is None or matches(grant.names, dataset_name))


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches the pattern, in which ``*`` stands for any text; in time at most the product of both lengths."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        index = text.find(part, at, end)
        if index < 0:
            return False
        at = index + len(part)
    return True


def may_everywhere(caller: Caller, verb: Verb) -> bool:
    """Whether the caller may perform the verb on every workflow."""
    return _enough((grant for grant in caller.access.grants if grant.team is None and grant.names is None), verb)


def may_somewhere(caller: Caller, verb: Verb) -> bool:
    """Whether any grant of the caller allows the verb, on all or some workflows. Ownership does not count."""
    return _enough(caller.access.grants, verb)


def may(caller: Caller, verb: Verb, workflow: Workflow) -> bool:
    """Whether the caller may perform the verb on this workflow. The owner of a workflow may operate it."""
    if caller.access.owns and workflow.owner == caller.name and _RANK[NEEDS[verb]] <= _RANK[Role.OPERATOR]:
        return True
    return _enough(
        (grant for grant in caller.access.grants if covers(grant, workflow.dataset_name, workflow.team)), verb
    )


def sight_of(caller: Caller) -> Visibility:
    """Return the workflows that the caller may view."""
    return Visibility(grants=caller.access.grants, owner=caller.name if caller.access.owns else None)


def visible_to(caller: Caller) -> Visibility | None:
    """Return the workflows that the caller may view; None if it may view all, so that no filter is needed."""
    return None if may_everywhere(caller, Verb.VIEW) else sight_of(caller)


def denied(verb: Verb, workflow: Workflow | None = None) -> PermissionDenied:
    """Return the error for a caller without the role. Name the workflow only if the caller may view it."""
    role = NEEDS[verb]
    if workflow is None:
        return PermissionDenied(f"The action {verb} requires the role {role}, granted everywhere.")
    team = f" of team {workflow.team!r}" if workflow.team else ""
    return PermissionDenied(
        f"The action {verb} requires the role {role} for the workflow {workflow.dataset_name!r}{team}."
    )


def _enough(grants: Iterable[Grant], verb: Verb) -> bool:
    return any(_RANK[grant.role] >= _RANK[NEEDS[verb]] for grant in grants)
