"""A permanent refusal of the object store is reported by the registration, the workflow and explain."""

from __future__ import annotations

import pytest

from tests.attacks.hostile import answer, hostile
from tests.support.http_stack import NAME, YAML, http_stack
from workflow_adapters.storage.s3 import S3Storage, s3_client
from workflow_core.domain.workflow import Phase, SourceType
from workflow_core.errors import StorageRefused, StorageUnavailable

BODY = {"dataset_name": NAME, "yaml_content": YAML}
EMPTY = '<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'


def error(code: str) -> str:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>CANARY</Message></Error>'


def put_to(status: str, code: str) -> StorageUnavailable:
    """What a write meets at a store that lists nothing and answers writes so."""

    def talk(asked):
        if asked.method == "PUT":
            return answer(error(code), status, Content_Type="application/xml")
        return answer(EMPTY, Content_Type="application/xml")

    with hostile(talk) as server:
        client = s3_client(
            endpoint_url=server.url,
            aws_access_key_id="x",
            aws_secret_access_key="x",
            region_name="us-east-1",
            attempts=1,
        )
        store = S3Storage(client, "bucket")
        try:
            with pytest.raises(StorageUnavailable) as caught:
                store.put(SourceType.MANUAL, NAME, "x", expected=None)
        finally:
            store.close()
    assert "CANARY" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        ("400 Bad Request", "InvalidArgument", "AWS_REQUEST_CHECKSUM_CALCULATION=when_required"),
        ("400 Bad Request", "InvalidRequest", "AWS_ENDPOINT_URL"),
        ("403 Forbidden", "AccessDenied", "s3:PutObject"),
        ("403 Forbidden", "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        ("404 Not Found", "NoSuchBucket", "WORKFLOWS_STORAGE_URL"),
        ("405 Method Not Allowed", "MethodNotAllowed", "AWS_ENDPOINT_URL"),
        ("411 Length Required", "MissingContentLength", "AWS_ENDPOINT_URL"),
        ("501 Not Implemented", "NotImplemented", "conditional writes"),
    ],
)
def test_a_final_refusal_names_its_cause_and_the_remedy(status, code, remedy):
    """Every 4xx that is about the request, and 501: repeating it would not help."""
    refused = put_to(status, code)
    assert isinstance(refused, StorageRefused)
    assert code in refused.message
    assert remedy in refused.message


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("408 Request Timeout", "RequestTimeout"),
        ("429 Too Many Requests", "TooManyRequests"),
        ("400 Bad Request", "RequestTimeout"),
        ("500 Internal Server Error", "InternalError"),
        ("503 Service Unavailable", "SlowDown"),
    ],
)
def test_what_may_pass_is_an_outage(status, code):
    """A temporary failure is not a refusal: a repeated request can succeed."""
    assert type(put_to(status, code)) is StorageUnavailable


@pytest.fixture
def stack(monkeypatch):
    with http_stack() as running:

        def refuse(*_args, **_kwargs):
            msg = "The object store refuses this (InvalidArgument). Set X."
            raise StorageRefused(msg)

        monkeypatch.setattr(running.storage, "put", refuse)
        yield running
        monkeypatch.undo()


def test_a_registration_says_that_its_yaml_is_not_stored(stack):
    """It is accepted, since the worker goes on as soon as the setting is right; the answer names the cause, not a slow Airflow."""
    answer = stack.post("register", BODY)
    assert answer.status_code == 201
    (warning,) = answer.json()["warnings"]
    assert "is not stored" in warning
    assert "InvalidArgument" in warning
    assert "Airflow" not in warning


def test_the_workflow_has_a_condition_with_the_cause(stack):
    """``show`` and ``explain`` name the store; sweeps that meet the same refusal write nothing more."""
    stack.post("register", BODY)
    version = stack.database.workflows.workflow(NAME).version
    stack.sweeper.sweep()
    stack.sweeper.sweep()
    assert stack.database.workflows.workflow(NAME).version == version
    (condition,) = stack.get(NAME).json()["conditions"]
    assert (condition["type"], condition["severity"]) == ("storage_refused", "error")
    assert "InvalidArgument" in condition["message"]
    assert stack.get(f"{NAME}/explain").json()["reasons"][0]["code"] == "storage_refused"


def test_the_condition_goes_as_soon_as_the_store_takes_the_yaml(stack, monkeypatch):
    """Nothing accepted is lost: the worker stores it, and Airflow serves it."""
    stack.post("register", BODY)
    monkeypatch.undo()
    stack.sweeper.sweep()
    stack.clock.sleep(5)
    stack.sweeper.sweep()
    assert stack.database.workflows.workflow(NAME).phase is Phase.SERVED
    assert "conditions" not in stack.get(NAME).json()


def test_a_removal_that_is_refused_is_told_likewise(monkeypatch):
    """The other write into the store."""

    def refuse(*_args, **_kwargs):
        msg = "The object store refuses this (AccessDenied). Set X."
        raise StorageRefused(msg)

    with http_stack() as stack:
        stack.register()
        monkeypatch.setattr(stack.storage, "delete", refuse)
        assert stack.call("DELETE", NAME).json()["status"] == "unregistering"
        messages = [one["message"] for one in stack.get(NAME).json()["conditions"] if one["type"] == "storage_refused"]
        assert ["cannot be removed" in message and "AccessDenied" in message for message in messages] == [True]


def test_a_refusal_before_anything_is_recorded_is_an_error(stack, monkeypatch):
    """The answer is 502 with a separate code, and nothing is recorded."""
    monkeypatch.setattr(stack.storage, "stat", stack.storage.put)
    answer = stack.post("register", BODY)
    assert (answer.status_code, answer.json()["code"]) == (502, "STORAGE_REFUSED")
    assert stack.get(NAME).status_code == 404
