"""Tests of the errors for unreachable systems, which contain the address, the cause, and the setting to check."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

import pytest

from tests.support.http_stack import http_stack
from workflow_adapters.airflow import open_airflow
from workflow_adapters.causes import place_of
from workflow_adapters.remote import RemoteWorkflowApi
from workflow_adapters.sql import SqlDatabase, make_engine
from workflow_adapters.storage.s3 import S3Storage, s3_client
from workflow_core.errors import AirflowUnavailable, Unavailable

SECRET = "CANARY-5e5e"


@contextmanager
def listening(reply: bytes | None):
    """A port that accepts connections and answers each with these bytes; None for no answer."""
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if reply is not None:
                connection.recv(65_536)
                connection.sendall(reply)
                connection.close()
            else:
                held.append(connection)

    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()


@pytest.fixture(scope="module")
def closed():
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def ask_airflow(url: str) -> None:
    airflow = open_airflow(
        url, api="v2", username="u", password=SECRET, connect_timeout=1, read_timeout=0.2, total_timeout=2
    )
    try:
        airflow.ping()
    finally:
        airflow.close()


def ask_server(url: str) -> None:
    with RemoteWorkflowApi(url, token=SECRET, connect_timeout=1, read_timeout=0.2, setting="--server") as api:
        api.whoami()


def ask_store(url: str) -> None:
    store = S3Storage(
        s3_client(
            endpoint_url=url,
            aws_access_key_id="x",
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            connect_timeout=1,
            read_timeout=0.2,
            attempts=1,
        ),
        "bucket",
    )
    try:
        store.check()
    finally:
        store.close()


ASKING = {"AIRFLOW_BASE_URL": ask_airflow, "--server": ask_server, "AWS_ENDPOINT_URL": ask_store}
every_client = pytest.mark.parametrize(("setting", "ask"), ASKING.items(), ids=ASKING)


def error_of(ask, url: str) -> str:
    with pytest.raises(Unavailable) as caught:
        ask(url)
    message = caught.value.message
    assert SECRET not in message
    assert "Error" not in message
    assert "Timeout" not in message
    assert place_of(url) in message
    return message


@every_client
def test_a_refused_connection(setting, ask, closed):
    """Nothing listens on the port."""
    message = error_of(ask, f"http://127.0.0.1:{closed}")
    assert "the connection was refused" in message
    assert setting in message


@every_client
def test_a_name_that_does_not_resolve(setting, ask, monkeypatch):
    """The error contains the name and this cause."""

    def unknown(*_args, **_kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    message = error_of(ask, "http://no.such.invalid:8080")
    assert "its name does not resolve" in message
    assert setting in message


@every_client
def test_tls_to_a_plain_port(setting, ask):
    """The error names TLS as the cause; the reverse case is below."""
    with listening(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as port:
        message = error_of(ask, f"https://127.0.0.1:{port}")
    assert "TLS failed: is that an https address?" in message
    assert setting in message


@pytest.mark.parametrize("ask", [ask_airflow, ask_server])
def test_a_response_that_is_not_http(ask):
    """A TLS port answers a plain request with an alert."""
    with listening(b"\x15\x03\x01\x00\x02\x02\x46") as port:
        assert "is that an https address?" in error_of(ask, f"http://127.0.0.1:{port}")


@every_client
def test_a_server_that_does_not_respond(setting, ask):
    """The error contains the duration if it is known."""
    with listening(None) as port:
        assert "it timed out" in error_of(ask, f"http://127.0.0.1:{port}"), setting


@pytest.mark.parametrize(
    ("url", "cause", "place"),
    [
        ("postgresql+psycopg://u:{secret}@127.0.0.1:{port}/w", "the connection was refused", "127.0.0.1:{port}/w"),
        ("postgresql+psycopg://u:{secret}@no.such.invalid/w", "its name does not resolve", "no.such.invalid/w"),
        ("sqlite:////no/such/folder/w.db", "the file cannot be opened", "/no/such/folder/w.db"),
    ],
)
def test_an_unusable_database(url, cause, place, closed):
    """The error contains host and database without credentials, the cause, and the setting."""
    engine = make_engine(url.format(secret=SECRET, port=closed), connect_timeout=2)
    with pytest.raises(Unavailable) as caught:
        SqlDatabase(engine).observations.observed_until()
    engine.dispose()
    message = caught.value.message
    assert cause in message
    assert place.format(port=closed) in message
    assert "WORKFLOWS_DATABASE_URL" in message
    assert SECRET not in message


def test_authenticated_callers_do_not_get_the_address(caplog, closed, monkeypatch):
    """Addresses are for operators: the response contains them on loopback without authentication; otherwise only the
    log does.
    """
    place = f"http://127.0.0.1:{closed}"

    def away():
        msg = f"Airflow at {place} cannot be reached: x. Check AIRFLOW_BASE_URL."
        raise AirflowUnavailable(msg, place=place)

    details = []
    with http_stack() as stack:
        stack.register()
        monkeypatch.setattr(stack.airflow, "ping", away)
        details.append(stack.post("iceberg.analytics.daily_clicks/run").json()["detail"])
        stack.client.app.is_guarded = True
        details.append(stack.post("iceberg.analytics.daily_clicks/run").json()["detail"])
    assert place in details[0]
    assert details[1] == "Airflow cannot be reached: x. Check AIRFLOW_BASE_URL."
    assert caplog.text.count(place) == 2
