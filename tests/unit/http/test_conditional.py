"""Tests of conditional GETs: an ETag changes with the response, and 304 stands for a response that the client has."""

from __future__ import annotations

import pytest

from tests.support.http_stack import NAME, YAML, http_stack
from workflow_core.errors import InvalidRequest
from workflow_entrypoints.http.conditional import matches
from workflow_entrypoints.http.endpoint import call_of
from workflow_entrypoints.http.query import read_if_match
from workflow_entrypoints.http.routes import ROUTES


@pytest.fixture
def stack():
    with http_stack() as running:
        running.register()
        yield running


@pytest.fixture
def paths(stack):
    """The path of each kind of GET that has an ETag."""
    run_id = stack.post(f"{NAME}/run").json()["run_id"]
    backfill = stack.post(f"{NAME}/backfill", {"start_date": "2025-12-30", "end_date": "2025-12-31"}).json()
    return {
        "getWorkflow": NAME,
        "listWorkflows": "",
        "listRuns": "history",
        "listRevisions": f"{NAME}/revisions",
        "diffRevision": f"{NAME}/revisions/1/diff",
        "listNextRuns": f"{NAME}/next-runs",
        "explainWorkflow": f"{NAME}/explain",
        "getRun": f"runs/{run_id}",
        "explainRun": f"runs/{run_id}/explain",
        "listBackfills": f"{NAME}/backfills",
        "getBackfill": f"backfills/{backfill['backfill_id']}",
        "listAudit": "/api/v1/audit",
        "getCaller": "/api/v1/whoami",
    }


def test_every_get_is_conditional(stack, paths):
    """A response's ETag, sent as ``If-None-Match``, gets 304 with the same ETag and no body; another ETag gets 200."""
    tagged = {call.operation_id for route in ROUTES if (call := call_of(route)) and call.is_tagged}
    assert set(paths) == tagged
    for path in paths.values():
        tag = stack.get(path).headers["etag"]
        for header in (tag, f'"other", {tag}', "*", f"W/{tag.removeprefix('W/')}"):
            answer = stack.get(path, headers={"If-None-Match": header})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
            assert "content-type" not in answer.headers
            assert answer.headers["cache-control"] == "private, no-cache"
        assert stack.get(path, headers={"If-None-Match": '"0"'}).status_code == 200


def test_head_has_the_etag_of_get(stack, paths):
    """HEAD is answered with 304 under the same conditions."""
    for path in paths.values():
        tag = stack.get(path).headers["etag"]
        assert stack.call("HEAD", path).headers["etag"] == tag
        assert stack.call("HEAD", path, headers={"If-None-Match": tag}).status_code == 304


def test_a_pause_changes_the_etag_and_not_the_revision(stack):
    """The ETag is strong, so that another body has another ETag. ``If-Match`` compares only the revision."""
    before = stack.get(NAME)
    stack.post(f"{NAME}/pause", {"reason": "x"})
    after = stack.get(NAME)
    assert before.headers["etag"] != after.headers["etag"]
    assert after.headers["etag"].startswith('"1-')
    changed = {"dataset_name": NAME, "yaml_content": YAML.replace("0 6", "0 7")}
    answer = stack.post("register", changed, headers={"If-Match": before.headers["etag"]})
    assert (answer.status_code, answer.json()["revision"]) == (201, 2)
    assert stack.post("register", changed, headers={"If-Match": before.headers["etag"]}).status_code == 412
    assert stack.post("register", changed, headers={"If-Match": '"2"'}).status_code == 201


def test_the_etag_of_a_run_does_not_change_with_its_duration():
    """The ETag is weak: a growing duration does not change it; a change of the run does."""
    with http_stack(task_seconds=100) as stack:
        stack.register()
        path = f"runs/{stack.post(f'{NAME}/run').json()['run_id']}"
        stack.clock.sleep(10)
        before = stack.get(path)
        stack.clock.sleep(10)
        after = stack.get(path)
        assert (before.json()["status"], after.json()["status"]) == ("RUNNING", "RUNNING")
        assert before.json()["duration_seconds"] < after.json()["duration_seconds"]
        assert before.headers["etag"] == after.headers["etag"]
        assert after.headers["etag"].startswith("W/")
        stack.clock.sleep(1000)
        ended = stack.get(path, headers={"If-None-Match": before.headers["etag"]})
        assert (ended.status_code, ended.json()["status"]) == (200, "SUCCESS")


def test_a_list_has_the_etag_of_its_page(stack):
    """An additional page changes the ETag although the body is the same, because the link and the count belong to the
    response.
    """
    before = stack.get("?limit=1")
    stack.register("z.other")
    after = stack.get("?limit=1")
    assert before.content == after.content
    assert before.headers["etag"] != after.headers["etag"]


@pytest.mark.parametrize("header", ['"x', "x", "", ",", 'W/"y"', '"y", "z"', '"xx"'])
def test_other_tags_do_not_match(header):
    """A value that is not a list of ETags does not match either."""
    assert not matches(header, '"x"')


def test_an_error_is_never_304(stack):
    """``*`` matches only successful responses."""
    assert stack.get("no.such", headers={"If-None-Match": "*"}).status_code == 404


@pytest.mark.parametrize("header", ["*", '"0"', '"2-"', '"2-xyz"', 'W/"2"', '"2", "3"', "2"])
def test_an_if_match_that_names_no_revision_is_rejected(header):
    """``If-Match`` takes one strong ETag of a workflow, or its revision in quotes."""
    with pytest.raises(InvalidRequest, match="If-Match"):
        read_if_match(header)
