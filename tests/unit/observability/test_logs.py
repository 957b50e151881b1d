"""Tests of log lines: their format, the redaction of secrets, and the protection against forged lines."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from io import StringIO
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_entrypoints.observability.logs import (
    FIELDS,
    MAX_MESSAGE,
    MAX_TRACEBACK,
    ConsoleFormatter,
    JsonFormatter,
    bound,
)
from workflow_entrypoints.observability.redaction import redact, redactor, secrets_of
from workflow_entrypoints.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FORMS = pytest.mark.parametrize("form", [JsonFormatter, ConsoleFormatter])


def written(
    form: type[JsonFormatter | ConsoleFormatter],
    message: str,
    *args: object,
    secrets: Iterable[str] = (),
    error: Exception | None = None,
    fields: Mapping[str, object] | None = None,
) -> str:
    """What the formatter makes of one line."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(form(redactor(secrets)))
    logger = logging.Logger("some.module")  # noqa: LOG001 - one that no other test has
    logger.addHandler(handler)
    logger.warning(message, *args, exc_info=error, extra={FIELDS: fields or {}})
    return stream.getvalue()


def fail(message: str) -> None:
    raise RuntimeError(message)


def raised(message: str) -> Exception:
    """An error with a traceback."""
    with pytest.raises(RuntimeError) as caught:
        fail(message)
    return caught.value


def test_json_has_the_time_in_utc_the_level_the_logger_and_the_message():
    """And the fields of the line."""
    line = json.loads(written(JsonFormatter, "sent %s", "it", fields={"status": 200}))
    assert line.pop("time").endswith("Z")
    assert line == {"level": "WARNING", "logger": "some.module", "message": "sent it", "status": 200}


def test_the_console_has_the_same_in_words():
    """With what is bound behind it."""
    with bound(request_id="abc"):
        assert written(ConsoleFormatter, "sent").endswith("+00:00 WARNING some.module: sent request_id=abc\n")


def test_bound_fields_are_on_each_line_of_the_block_only():
    """Nested blocks add fields; a new thread has none."""
    lines: list[str] = []

    def write() -> None:
        lines.append(written(JsonFormatter, "x"))

    with bound(a=1):
        with bound(b=2):
            write()
        write()
        thread = Thread(target=write)
        thread.start()
        thread.join()
    write()
    found = [{name: json.loads(line).get(name) for name in "ab"} for line in lines]
    assert found == [{"a": 1, "b": 2}, {"a": 1, "b": None}, {"a": None, "b": None}, {"a": None, "b": None}]


def test_what_is_bound_cannot_stand_in_for_what_a_line_says():
    """No field replaces the level or the message."""
    with bound(level="FORGED"):
        assert json.loads(written(JsonFormatter, "x", fields={"message": "forged"}))["level"] == "WARNING"


@given(st.text(max_size=50))
def test_no_text_makes_a_second_line(text):
    """Whatever a message, a bound field or an error holds."""
    with bound(who=text):
        for form in (JsonFormatter, ConsoleFormatter):
            first, *more = written(form, "%s", text, error=raised(text)).removesuffix("\n").splitlines()
            assert "some.module" in first
            assert all(line.startswith("  | ") for line in more)
            assert (first + "".join(more)).isprintable()


@FORMS
def test_a_line_has_a_largest_size(form):
    """A megabyte of answer from elsewhere does not fill the disk; of a traceback its end stays."""
    line = written(form, "y" * 1_000_000, error=raised("z" * 1_000_000 + " the end"))
    assert len(line) < (MAX_MESSAGE + MAX_TRACEBACK) * 2
    assert "the end" in line


@FORMS
def test_a_secret_of_the_settings_is_in_no_line(form):
    """Wherever it comes from: message, traceback, bound field, field of the line; passwords in URLs are secrets too."""
    settings = load_settings(
        {
            "AIRFLOW_PASSWORD": 'hun"ter2',
            "AIRFLOW_TOKEN": "hunter3",
            "AIRFLOW_HEADERS": '{"X-Key": "hunter4"}',
            "WORKFLOWS_DATABASE_URL": "postgresql://me:hunter5@db/x",
            "DLI_TOKEN": "hunter6",
        }
    )
    for secret in ('hun"ter2', "hunter3", "hunter4", "hunter5", "hunter6"):
        with bound(who=secret):
            line = written(
                form, "with %s", secret, secrets=settings.secrets(), error=raised(secret), fields={"f": secret}
            )
        assert "hun" not in line
        assert "with ****" in line


@pytest.mark.parametrize(
    "text",
    [
        "GET http://me:{}@host/x",
        "cannot reach https://{}@host",
        "postgresql://host/x?user=me&password={}&sslmode=require",
        "https://bucket.s3.amazonaws.com/k?X-Amz-Signature={}&X-Amz-Credential={}",
        "Authorization: Bearer {}",
        "Authorization: Basic {}",
        "authorization: {}",
        "{{'Authorization': 'Bearer {}', 'Accept': '*/*'}}",
        "[(b'Authorization', 'x'), ('authorization': b'Basic {}')]",
        "host=db user=me password={}",
        '{{"access_token": "{}", "x": 1}}',
        "{{'client_secret': '{}'}}",
        "AWS_SECRET_ACCESS_KEY={}",
    ],
)
def test_a_credential_is_known_by_where_it_stands(text):
    """In URLs, headers and assignments; what stands beside it stays."""
    secret = "hunter2/hunter2+hunter2=="
    told = redact(text.format(*[secret] * text.count("{}")))
    assert "hunter2" not in told
    assert "****" in told


@pytest.mark.parametrize(
    "token",
    [f"dli_{'0' * 16}_{'5e' * 32}", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.5e5e5e5e", f"dli_{'0' * 16}_{'5e' * 20}"],
)
def test_a_token_is_known_wherever_it_stands(token):
    """API tokens and JSON web tokens, cut ones too, by how they begin."""
    told = redact(f"got {token} from it")
    assert ("5e5e" in told, told.startswith("got "), told.endswith(" from it")) == (False, True, True)


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
def test_a_credential_is_known_by_its_scheme(scheme):
    """Also where no header is named."""
    assert redact(f"sent {scheme} YWRtaW46YWRtaW4= to it") == f"sent {scheme} **** to it"


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/v1/workflows/a.b 200 1.2 ms",
        "Airflow at http://localhost:8080/api/v2 does not answer",
        "basic authentication is refused",
        "s3://bucket/workflows/manual/a.b.yaml: conflict",
        "the token has expired: log in again",
    ],
)
def test_text_without_secrets_is_unchanged(text):
    """Otherwise the log would be unreadable."""
    assert redact(text) == text


def test_secrets_that_other_libraries_read_are_known():
    """This includes those of boto3, and each header for a trace collector, encoded and decoded."""
    environment = {
        "AWS_SESSION_TOKEN": "hunter2",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=hunter3,authorization=Bearer%20hunter4",
    }
    told = redactor(secrets_of(environment))("hunter2 hunter3 Bearer%20hunter4 Bearer hunter4 hunter4")
    assert "hunter" not in told


def test_the_default_password_does_not_black_out_its_word():
    """A short secret is not looked for by its value."""
    assert redactor(["admin"])("the administrator admin") == "the administrator admin"


def test_the_setting_decides_the_form():
    """A process writes JSON to standard error if it is configured to."""
    code = (
        "import logging; from workflow_entrypoints.observability.logs import configure_logging;"
        " from workflow_entrypoints.settings import load_settings;"
        "configure_logging(load_settings({'WORKFLOWS_LOG_FORMAT': 'json'})); logging.getLogger('a').info('b')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(ended.stderr)["message"] == "b"
