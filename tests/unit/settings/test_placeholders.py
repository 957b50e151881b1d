"""``${NAME}`` and ``${NAME:default}`` in the configuration file."""

from __future__ import annotations

from typing import Any

import pytest

from workflow_core.errors import ConfigurationError
from workflow_entrypoints.settings import described, load_settings
from workflow_entrypoints.settings.placeholders import MOST, expanded

SPECIFIED = """\
# application.yaml
airflow:
  base-url: ${AIRFLOW_BASE_URL:http://localhost:8080}
  username: ${AIRFLOW_USERNAME:admin}
  password: ${AIRFLOW_PASSWORD:admin}

workflows:
  s3:
    bucket: ${WORKFLOWS_S3_BUCKET:data-workflows}
"""
"""Section 10 of the specification, as it stands there."""

ENVIRONMENT = {"HOST": "h", "EMPTY": "", "DOLLAR": "${HOST}", "PORT": "9000"}


@pytest.fixture
def load(tmp_path):
    """Settings from a file of this text, and an environment."""

    def load(text: str, **environment: str) -> Any:
        file = tmp_path / "application.yaml"
        file.write_text(text)
        return load_settings({"WORKFLOWS_CONFIG": str(file), **environment})

    return load


def test_the_file_of_the_specification_is_read_as_it_is(load):
    """Its defaults without any variable, and each of its variables."""
    settings = load(SPECIFIED)
    assert settings.airflow_base_url == "http://localhost:8080"
    assert (settings.airflow_username, settings.airflow_password.get_secret_value()) == ("admin", "admin")
    assert settings.s3_bucket == "data-workflows"
    settings = load(SPECIFIED, AIRFLOW_BASE_URL="https://a", AIRFLOW_PASSWORD="p", WORKFLOWS_S3_BUCKET="b")
    assert (settings.airflow_base_url, settings.airflow_username, settings.s3_bucket) == ("https://a", "admin", "b")
    assert settings.airflow_password.get_secret_value() == "p"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${HOST}", "h"),
        ("${HOST:other}", "h"),
        ("${NONE:other}", "other"),
        ("${NONE:}", ""),
        ("${EMPTY:other}", "other"),
        ("${NONE:http://x:1}", "http://x:1"),
        ("http://${HOST}:${PORT:1}/x", "http://h:9000/x"),
        ("${NONE:${ALSO_NONE:${HOST}}}", "h"),
        ("${NONE:a${HOST}c}d", "ahcd"),
        ("${HOST:${NONE}}", "h"),
        ("\\${HOST}", "${HOST}"),
        ("${NONE:\\${x}", "${x"),
        ("a}b$c{d}", "a}b$c{d}"),
        ("${HOST}}", "h}"),
        ("${DOLLAR}", "${HOST}"),
        (["${HOST}", 1, {"a": "${NONE:b}"}], ["h", 1, {"a": "b"}]),
        (5, 5),
        (None, None),
    ],
)
def test_placeholders_are_expanded(written, value):
    """By Spring's rules; what a variable holds is not expanded again, and a default that is not needed is not read."""
    assert expanded(written, ENVIRONMENT, where="f: k") == value


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("${NONE}", "the variable NONE is not set"),
        ("${EMPTY}", "the variable EMPTY is not set"),
        ("${NONE:${ALSO_NONE}}", "the variable ALSO_NONE is not set"),
        ("${}", "is not \\$"),
        ("${a-b}", "is not \\$"),
        ("${ HOST}", "is not \\$"),
        ("${HOST", "is not \\$"),
        ("${NONE:x", "no closing brace"),
        ("${HOST:x", "no closing brace"),
        ("${NONE:" * (MOST + 1) + "}" * (MOST + 1), "deep"),
    ],
)
def test_a_wrong_placeholder_names_file_key_and_variable(written, told):
    """And how to write it."""
    with pytest.raises(ConfigurationError, match=rf"^f: k: .*{told}"):
        expanded(written, ENVIRONMENT, where="f: k")


def test_a_missing_variable_names_file_and_key(load, tmp_path):
    """As they stand in the file."""
    with pytest.raises(ConfigurationError) as caught:
        load("airflow:\n  base-url: ${WHERE}\n")
    assert str(caught.value).startswith(f"{tmp_path}/application.yaml: airflow.base-url: the variable WHERE is not set")


def test_what_the_environment_sets_needs_no_placeholder(load):
    """The file's value is not used then, so its variables may be missing."""
    assert load("airflow: {base-url: '${WHERE}'}\n", AIRFLOW_BASE_URL="https://a").airflow_base_url == "https://a"


def test_an_empty_default_leaves_the_setting_unset(load):
    """As an empty variable does."""
    settings = load("airflow: {token: '${MY_TOKEN:}'}\nworkflows: {port: '${MY_PORT:}'}\n")
    assert (settings.airflow_token, settings.port) == (None, 8000)
    assert load("workflows: {port: '${MY_PORT:}'}\n", MY_PORT="81").port == 81


def test_a_secret_stays_a_secret(load, tmp_path):
    """Wherever its value comes from: in what is shown, and in an error about another key."""
    file = tmp_path / "application.yaml"
    settings = load("airflow: {password: '${MY_PASSWORD:fallback}'}\n", MY_PASSWORD="hunter2")
    environment = {"WORKFLOWS_CONFIG": str(file), "MY_PASSWORD": "hunter2"}
    rows = {name: (value, source) for name, value, source in described(settings, environment)}
    assert rows["AIRFLOW_PASSWORD"][1] == "file"
    assert "hunter2" not in str(rows)
    with pytest.raises(ConfigurationError) as caught:
        load("airflow: {base-url: '${MY_PASSWORD}'}\n", MY_PASSWORD="hunter2")
    assert "hunter2" not in str(caught.value)
