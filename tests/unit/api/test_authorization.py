"""Who may do what: the table of the documentation, cell by cell, and what one may not see, over the real application."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.http_stack import NAME, YAML, Stack, http_stack
from workflow_core.api import UnregisterFilters
from workflow_core.api.call import Subject
from workflow_core.domain.access import EVERYTHING, Access, Grant, Role
from workflow_core.domain.authorization import Verb, matches, may, may_everywhere, may_somewhere
from workflow_core.domain.caller import Caller
from workflow_core.fakes.tokens import InMemoryTokens
from workflow_core.testing.entities import a_workflow
from workflow_core.usecases.commands.tokens import CreateToken, create_token
from workflow_entrypoints.http.endpoint import call_of
from workflow_entrypoints.http.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx import Response

TEAM: Final = "@data-eng"
PAGE = Path(__file__).parents[3] / "docs" / "authorization.md"
ENDED: Final = f"{NAME}_20260101_100000"
RUN: Final = f"{NAME}_20260101_110000"
BACKFILL: Final = f"{NAME}_backfill_20240101_20240102"
BODY: Final = {"dataset_name": NAME, "yaml_content": YAML, "force": True}

BODIES: Final[dict[str, Any]] = {
    "register": BODY,
    "validate": {**BODY, "force": False},
    "backfill": {"start_date": "2024-02-01", "end_date": "2024-02-01"},
}
"""The bodies of the calls that need one."""

OPERATIONS: Final = {call.operation_id: call for route in ROUTES if (call := call_of(route))}
"""Every call that HTTP serves, on the workflow of :func:`world`, its run and its backfill."""

LISTS: Final = {name for name, call in OPERATIONS.items() if call.subject is Subject.LIST and not call.names}
ON_IT: Final = sorted(name for name, call in OPERATIONS.items() if call.names)
"""The calls that name one workflow, run or backfill."""


class World:
    """A running application with a workflow, a run under way, one that has ended, and a backfill."""

    def __init__(self, stack: Stack, tokens: InMemoryTokens) -> None:
        self.stack = stack
        self._tokens = tokens
        stack.register()
        usecases = stack.usecases
        usecases.stop(usecases.run(NAME).run_id)
        for _ in range(2):
            stack.clock.sleep(1800)
            stack.sweeper.sweep()
        usecases.run(NAME)
        usecases.backfill(NAME, date(2024, 1, 1), date(2024, 1, 2))

    def token(self, *grants: Grant) -> dict[str, str]:
        command = CreateToken(name="ci", grants=grants, caller=Caller(name="x"))
        return {"Authorization": f"Bearer {create_token(command, self._tokens, self.stack.clock)[1]}"}

    def ask(self, operation: str, who: dict[str, str], *, name: str = NAME) -> Response:
        """``name`` in the place of the workflow's wherever that stands."""
        call = OPERATIONS[operation]
        run_id = ENDED if call.streams else RUN
        path = call.path.format(dataset_name=NAME, run_id=run_id, backfill_id=BACKFILL, number=1)
        given: dict[str, Any] = {"json": BODIES.get(call.name, {})} if call.takes_body else {}
        if call.filters is UnregisterFilters:
            given["params"] = {"force": "true"}
        return self.stack.call(call.method, path.replace(NAME, name), headers=who, **given)


@pytest.fixture
def world() -> Iterator[World]:
    tokens = InMemoryTokens()
    with http_stack(queue_seconds=100_000, tokens=tokens, auth="token") as stack:
        yield World(stack, tokens)


def tables() -> list[list[list[str]]]:
    """The tables of the page: their rows of cells, without the line below the header."""
    blocks = re.findall(r"(?:^\|.*\n)+", PAGE.read_text(), re.MULTILINE)
    rows = [[[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()] for block in blocks]
    return [[header, *body] for header, _, *body in rows]


def documented() -> dict[tuple[Verb, Role], bool]:
    """The cells of the table of verbs and roles."""
    header, *rows = tables()[0]
    roles = [Role(cell) for cell in header[1:-1]]
    return {(Verb(row[0]), role): cell == "yes" for row in rows for role, cell in zip(roles, row[1:-1], strict=True)}


def test_the_table_is_complete():
    """Every verb and every role has its cell."""
    assert documented().keys() == {(verb, role) for verb in Verb for role in Role}


def test_every_route_has_its_verb():
    """The page names the verb and the subject of every operation, as the table of calls has them."""
    _, *rows = tables()[1]
    written = {name.strip(" `"): (verb, subject) for verb, subject, names in rows for name in names.split(",")}
    assert written == {name: (call.verb or "none", str(call.subject)) for name, call in OPERATIONS.items()}
    assert len(OPERATIONS) == len(ROUTES)


@pytest.mark.parametrize(("verb", "role"), [(verb, role) for verb in Verb for role in Role])
def test_the_policy_is_the_table(verb, role):
    """Granted everywhere, for the team, for the name; and nothing for another team or name."""
    workflow = a_workflow(NAME)
    yes = documented()[verb, role]
    for grant in (
        Grant(role=role),
        Grant(role=role, team=TEAM),
        Grant(role=role, names="iceberg.*"),
        Grant(role=role, team=TEAM, names=NAME),
    ):
        caller = Caller(name="x", access=Access(grants=(grant,)))
        assert may(caller, verb, workflow) is yes
        assert may_somewhere(caller, verb) is yes
        assert may_everywhere(caller, verb) is (yes and grant == Grant(role=role))
    for grant in (
        Grant(role=role, team="@other"),
        Grant(role=role, names="iceberg"),
        Grant(role=role, team=TEAM, names="a.*"),
    ):
        assert not may(Caller(name="x", access=Access(grants=(grant,))), verb, workflow)


@pytest.mark.parametrize("verb", Verb)
def test_owners_operate_what_they_own(verb):
    """They have the rights of an operator; API tokens have none by ownership."""
    workflow = a_workflow(NAME, owner="owner@example.com")
    owner = Caller(name="owner@example.com", access=Access())
    assert may(owner, verb, workflow) is documented()[verb, Role.OPERATOR]
    assert not may(Caller(name="owner@example.com", access=Access(owns=False)), verb, workflow)
    assert not may(Caller(name="Owner@example.com", access=Access()), verb, workflow)


def test_an_embedding_application_may_do_everything():
    """So may each caller without authentication."""
    assert all(may_everywhere(Caller(name="x", access=EVERYTHING), verb) for verb in Verb)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*", "", True),
        ("a*b", "ab", True),
        ("a*b", "aXb", True),
        ("ab*ba", "aba", False),
        ("a*b*c", "a.b.b.c", True),
        ("a*b*c", "acb", False),
        ("a.b", "axb", False),
        ("", "", True),
        ("", "a", False),
        ("**a**", "bab", True),
        ("*a" * 40, "a" * 4000 + "b", False),
    ],
)
def test_patterns(pattern, text, expected):
    """A star is any text, also none; everything else is itself."""
    assert matches(pattern, text) is expected


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_each_route_obeys_the_table(world, operation, role):
    """Of the own team: what the role may is done, what it may not is 403 with the role that it takes, and changes nothing."""
    verb, subject = OPERATIONS[operation].verb, OPERATIONS[operation].subject
    before = world.stack.stored()
    answer = world.ask(operation, world.token(Grant(role=role, team=TEAM)))
    if verb is None or (documented()[verb, role] and subject is not Subject.EVERYWHERE):
        assert answer.status_code in {200, 201, 202, 409}, answer.text
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")
        assert f"requires the role {next(one for one in Role if documented()[verb, one])}" in answer.json()["detail"]
        assert world.stack.stored() == before


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("operation", ["syncWorkflows", "registerWorkflow", "listAudit"])
def test_roles_that_are_granted_everywhere(world, operation, role):
    """Reach what is about no single workflow."""
    answer = world.ask(operation, world.token(Grant(role=role)))
    verb = OPERATIONS[operation].verb
    assert verb is not None
    assert (answer.status_code < 300) is documented()[verb, role]


@pytest.mark.parametrize("operation", ON_IT)
def test_what_one_may_not_see_is_not_there(world, operation):
    """Another team's admin gets for it, letter by letter, what an unknown one gets; and nothing was done."""
    who = world.token(Grant(role=Role.ADMIN, team="@other"), Grant(role=Role.ADMIN, names="other.*"))
    before = world.stack.stored()
    unknown = NAME.replace("clicks", "chocks")
    found, missing = world.ask(operation, who), world.ask(operation, who, name=unknown)
    assert found.status_code == missing.status_code == 404
    assert found.text == missing.text.replace(unknown, NAME)
    assert _headers(found) == _headers(missing)
    assert world.stack.stored() == before


@pytest.mark.parametrize("operation", sorted(LISTS))
def test_lists_are_of_what_one_may_see(world, operation):
    """Neither the name nor a count of it is in them, nor in their cursors."""
    answer = world.ask(operation, world.token(Grant(role=Role.ADMIN, team="@other")))
    assert (answer.json(), answer.headers["x-total-count"]) == ([], "0")
    mine = world.ask(operation, world.token(Grant(role=Role.VIEWER, team=TEAM)))
    assert int(mine.headers["x-total-count"]) == len(mine.json()) > 0


@pytest.mark.parametrize("name", [NAME, NAME.replace(".", "_", 1), NAME.replace("daily_clicks", "daily-clicks")])
def test_a_name_that_cannot_be_had(world, name):
    """Nothing is said of who has it, whether it is this name or one with the same DAG id, with force or without."""
    before = world.stack.stored()
    spec = re.sub(r"name: .*", f"name: {name.rpartition('.')[2]}", YAML).replace(TEAM, "@other")
    told = set()
    for force in (True, False):
        body = {"dataset_name": name, "yaml_content": spec, "force": force}
        who = world.token(Grant(role=Role.AUTHOR, team="@other"))
        answer = world.stack.post("register", body, headers=who)
        assert (answer.status_code, answer.json()["code"]) == (409, "WORKFLOW_ALREADY_EXISTS")
        told.add(answer.json()["detail"])
        checked = world.stack.post("validate", {**body, "force": False}, headers=who).json()
        assert (checked["valid"], checked["registered"]) == (False, False)
        assert "is not available" in str(checked["problems"])
        assert "diff" not in checked or not checked["diff"]
    assert told == {f"The name {name!r} is not available; choose another one."}
    assert world.stack.stored() == before


@pytest.mark.parametrize(
    ("name", "team", "code"),
    [
        ("iceberg.new", "@other", "PERMISSION_DENIED"),
        (NAME, "@other", "PERMISSION_DENIED"),
        ("hive.new", TEAM, "PERMISSION_DENIED"),
        ("iceberg.new", TEAM, None),
    ],
    ids=["into another team", "given away", "outside of the names", "allowed"],
)
def test_a_spec_is_registered_for_ones_own_team(world, name, team, code):
    """What the new spec says of the team counts, not only what is there."""
    before = world.stack.stored()
    who = world.token(Grant(role=Role.AUTHOR, team=TEAM, names="iceberg.*"), Grant(role=Role.VIEWER))
    spec = re.sub(r"name: .*", f"name: {name.rpartition('.')[2]}", YAML).replace(TEAM, team)
    answer = world.stack.post("register", {"dataset_name": name, "yaml_content": spec, "force": True}, headers=who)
    assert answer.json().get("code") == code
    assert (world.stack.stored() == before) is (code is not None)


def test_a_workflow_of_another_team_is_not_taken_over(world):
    """A caller who may view it, and registers a spec of another team over it, gets the required role in the error."""
    who = world.token(Grant(role=Role.AUTHOR, team="@other"), Grant(role=Role.VIEWER))
    spec = YAML.replace(TEAM, "@other")
    answer = world.stack.post("register", {"dataset_name": NAME, "yaml_content": spec, "force": True}, headers=who)
    assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")
    assert TEAM in answer.json()["detail"]


def test_restoring_needs_the_rights_of_registering(world):
    """An author of one team cannot restore a revision of another team."""
    world.stack.usecases.register(NAME, YAML.replace(TEAM, "@other"), force=True)
    who = world.token(Grant(role=Role.AUTHOR, team="@other"))
    answer = world.stack.post(f"{NAME}/revisions/1/restore", {}, headers=who)
    assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("grant", [Grant(role=Role.VIEWER, team=TEAM), Grant(role=Role.ADMIN, team="@other")])
@pytest.mark.parametrize("operation", ["runWorkflow", "registerWorkflow", "stopRun", "stopBackfill"])
def test_an_idempotency_key_gives_no_right(world, operation, grant):
    """A stored response is not repeated to a caller who has lost the right."""
    key = {"Idempotency-Key": "k"}
    assert world.ask(operation, world.token(Grant(role=Role.ADMIN, team=TEAM)) | key).status_code < 300
    again = world.ask(operation, world.token(grant) | key)  # the same name, and so the same scope
    assert again.status_code in {403, 404, 409}
    assert "idempotency-replayed" not in again.headers


def test_the_last_run_of_an_earlier_workflow_is_not_told(world):
    """The name was another team's."""
    usecases, who = world.stack.usecases, world.token(Grant(role=Role.VIEWER, team="@other"))
    usecases.unregister(NAME, force=True)
    for _ in range(20):
        world.stack.clock.sleep(60)
        world.stack.sweeper.sweep()
    usecases.register(NAME, YAML.replace(TEAM, "@other"))
    shown = world.stack.get(NAME, headers=who).json()
    assert shown["last_run"] is None
    assert world.stack.get("", headers=who).json()[0]["last_run"] is None
    assert world.stack.get("history", headers=who).json() == []
    assert world.stack.get(f"{NAME}/backfills", headers=who).json() == []


def test_nobody_validates_without_a_grant(world):
    """Parsing costs something."""
    answer = world.stack.post(
        "validate", {**BODY, "force": False}, headers=world.token(Grant(role=Role.VIEWER, team="@x"))
    )
    assert answer.status_code == 200
    assert may_somewhere(Caller(name="x", access=Access()), Verb.VALIDATE) is False


def _headers(answer: Response) -> dict[str, str]:
    own = {"x-request-id", "date", "content-length", "ratelimit"}
    return {name: value for name, value in answer.headers.items() if name not in own}
