"""Authorization by the table of calls: every call is checked by its row before its use case runs."""

from __future__ import annotations

import inspect
from typing import Any, cast

import pytest

from tests.support.world import NAME, World
from workflow_core.api import RunRequest, WorkflowApi, calls
from workflow_core.api.call import Subject
from workflow_core.api.calls import CALLS
from workflow_core.domain.access import Access, Grant, Role
from workflow_core.domain.caller import Caller
from workflow_core.errors import NotFound, PermissionDenied
from workflow_core.guard import call, checked, row_of, unguarded
from workflow_core.service import WorkflowService

NOBODY = Caller(name="x", access=Access(owns=False))
VIEWER = Caller(name="x", access=Access(grants=(Grant(role=Role.VIEWER),)))
DECIDED_HERE = {Subject.WORKFLOW, Subject.RUN, Subject.BACKFILL, Subject.EVERYWHERE, Subject.SOMEWHERE}


@pytest.fixture
def world() -> World:
    return World.of()


def call_it(api: WorkflowService, name: str, **names: Any) -> Any:
    """Call a method with a stand-in for every required argument that ``names`` lacks; authorization reads none of those."""
    required = {
        parameter: None
        for parameter, details in inspect.signature(getattr(WorkflowService, name)).parameters.items()
        if parameter != "self" and details.default is inspect.Parameter.empty
    }
    return getattr(api, name)(**(required | names))


def test_every_method_of_the_protocol_has_its_row():
    """A call that is added without one is noticed here, if not before."""
    methods = {name for name in vars(WorkflowApi) if not name.startswith("_")}
    assert methods == CALLS.keys()
    assert {name: row_of(getattr(WorkflowService, name)) for name in methods} == CALLS


def test_one_call_is_authorized_by_its_use_case():
    """Registering: the team that counts is in the body, which only the use case parses; the row says so."""
    assert [name for name, row in CALLS.items() if row.subject is Subject.BODY] == ["register"]


def test_a_call_without_a_row_is_no_class():
    """A public method is a call, or is marked as one that no caller reaches."""
    calls_of_all = {name: method for name, method in vars(WorkflowService).items() if row_of(method)}

    def undecorated(self: Any) -> None: ...

    with pytest.raises(TypeError, match="another"):
        checked(type("Service", (), {**calls_of_all, "another": undecorated}))
    with pytest.raises(TypeError, match="missing: \\['stop'\\]"):
        checked(type("Service", (), {name: method for name, method in calls_of_all.items() if name != "stop"}))
    with pytest.raises(TypeError, match="\\['stop'\\]"):
        checked(type("Service", (), {**calls_of_all, "stop": call(calls.RUN)(cast("Any", undecorated))}))
    assert checked(type("Service", (), {**calls_of_all, "another": unguarded(undecorated)}))


@pytest.mark.parametrize("name", sorted(name for name, row in CALLS.items() if row.subject in DECIDED_HERE))
def test_a_caller_without_grants_reaches_no_use_case(world: World, name: str) -> None:
    """The refusal comes before the method, whose arguments here would make it fail otherwise."""
    world.register()
    run_id = world.start()
    backfill_id = world.usecases.backfill(NAME, *[world.clock.now().date()] * 2).backfill.backfill_id
    names = {"dataset_name": NAME, "run_id": run_id, "backfill_id": backfill_id}
    row = CALLS[name]
    with pytest.raises((NotFound, PermissionDenied)) as caught:
        call_it(world.service.as_(NOBODY), name, **{parameter: names.get(parameter) for parameter in row.names})
    error = caught.value
    assert isinstance(error, PermissionDenied) == (row.subject in {Subject.EVERYWHERE, Subject.SOMEWHERE})
    assert error.conceals == isinstance(error, NotFound)


def test_arguments_by_name_are_checked_as_well(world: World) -> None:
    """A viewer may not run, however the workflow is named in the call."""
    world.register()
    api = world.service.as_(VIEWER)
    with pytest.raises(PermissionDenied, match="The action run requires the role operator"):
        api.run(NAME)
    with pytest.raises(PermissionDenied, match="The action run requires the role operator"):
        api.run(dataset_name=NAME, request=RunRequest())
    assert world.usecases.history().total == 0


def test_a_service_for_another_caller_shares_everything_else(world: World) -> None:
    """It is cheap: one is made for each request."""
    world.register()
    api = world.service.as_(VIEWER)
    assert (api.context, api.caller) == (world.context, VIEWER)
    assert api.whoami().name == "x"
    assert [item.dataset_name for item in api.workflows().items] == [NAME]


def test_a_subclass_stays_one_for_every_caller(world: World) -> None:
    """A program that changes a call in a subclass gets it for every caller."""

    class Loud(WorkflowService):
        """A service."""

    assert type(Loud.over(world.context).as_(VIEWER)) is Loud
