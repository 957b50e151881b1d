"""The table of calls: complete, and equal to the signatures of the protocol."""

from __future__ import annotations

import inspect
from typing import get_args, get_type_hints

import pytest

from workflow_core import api
from workflow_core.api import WorkflowApi
from workflow_core.api.call import NoFields, Subject
from workflow_core.api.calls import CALLS
from workflow_core.errors import WorkflowError

METHODS = {name: value for name, value in vars(WorkflowApi).items() if name[0] != "_" and inspect.isfunction(value)}
PLACES = {
    Subject.WORKFLOW: "dataset_name",
    Subject.RUN: "run_id",
    Subject.BACKFILL: "backfill_id",
}


def test_every_method_has_one_row():
    """Each method of the protocol has exactly one row, and there is no row without a method."""
    assert CALLS.keys() == METHODS.keys()


def test_no_two_rows_share_a_route_or_an_operation():
    """The route and the operation id of a row are unique."""
    assert len({(call.method, call.path) for call in CALLS.values()}) == len(CALLS)
    assert len({call.operation_id for call in CALLS.values()}) == len(CALLS)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_row_matches_the_signature_of_its_method(call):
    """Names in the path, body or filters, ``if_match`` and the result of a row are those of the method."""
    hints = get_type_hints(METHODS[call.name], localns=vars(api))
    result = hints.pop("return")
    parameters = list(hints)
    assert tuple(parameters[: len(call.names)]) == call.names
    given = [*call.names]
    if call.takes_body and call.body is not NoFields:
        given.append("request")
        assert call.body in {hints["request"], *get_args(hints["request"])}
        assert call.body_optional is (type(None) in get_args(hints["request"]))
    if call.takes_filters:
        given.append("filters")
        assert call.filters in get_args(hints["filters"])
    if call.conditional:
        given.append("if_match")
    assert parameters == given
    assert result == call.answer


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_errors_of_a_row_are_errors_of_the_library(call):
    """Every error of a row is a class with a code, and none is listed twice."""
    assert all(issubclass(error, WorkflowError) and error.code != WorkflowError.code for error in call.errors)
    assert len(set(call.errors)) == len(call.errors)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_verb_is_checked_against_a_subject_that_the_call_names(call):
    """A row without a subject has no verb, and a subject in the path is in the path."""
    assert (call.verb is None) is (call.subject is Subject.NONE)
    assert PLACES.get(call.subject, "") in {"", *call.names}
