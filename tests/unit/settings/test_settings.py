from __future__ import annotations

import pytest

from workflow_core.errors import ConfigurationError
from workflow_core.usecases.config import CodeExecution
from workflow_entrypoints.settings import NAMES, Settings, described, load_settings
from workflow_entrypoints.settings.model import GROUPS


def test_the_specifications_names_and_defaults():
    """Section 10 of the specification, with nothing set."""
    settings = load_settings({})
    assert settings.airflow_base_url == "http://localhost:8080"
    assert (settings.airflow_username, settings.airflow_password.get_secret_value()) == ("admin", "admin")
    assert settings.storage == "s3://data-workflows/workflows"


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path):
    """Environment, file, default, in this order."""
    file = tmp_path / "application.yaml"
    file.write_text("airflow: {base-url: 'http://file:1', username: file}\nworkflows: {s3: {bucket: from-file}}\n")
    settings = load_settings({"WORKFLOWS_CONFIG": str(file), "AIRFLOW_USERNAME": "environment"})
    assert settings.airflow_base_url == "http://file:1"
    assert settings.airflow_username == "environment"
    assert settings.storage == "s3://from-file/workflows"
    assert settings.port == 8000


def test_an_empty_variable_is_not_set():
    """``NAME=`` in a unit file or compose file means the default."""
    assert load_settings({"WORKFLOWS_PORT": ""}).port == 8000


def test_settings_reach_the_policy():
    """What the core needs of the settings arrives in its policy."""
    policy = load_settings(
        {
            "WORKFLOWS_ALLOWED_OPERATORS": "a.*, b.C",
            "WORKFLOWS_MAX_YAML_BYTES": "2048",
            "WORKFLOWS_LOADERS": "3",
            "WORKFLOWS_CODE_EXECUTION": "allow",
            "WORKFLOWS_REGISTER_WAIT": "0.5",
            "WORKFLOWS_MAX_PARAMS_BYTES": "4096",
            "WORKFLOWS_BACKFILL_MAX_DATES": "31",
            "WORKFLOWS_BACKFILL_MAX_ACTIVE": "4",
        }
    ).policy
    assert policy.rules.operators == ("a.*", "b.C")
    assert (policy.rules.max_bytes, policy.loaders, policy.register_wait) == (2048, 3, 0.5)
    assert policy.code_execution is CodeExecution.ALLOW
    assert policy.max_params_bytes == 4096
    assert (policy.backfill_max_dates, policy.backfill_max_active) == (31, 4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKFLOWS_PORT", "eighty"),
        ("WORKFLOWS_PORT", "70000"),
        ("AIRFLOW_BASE_URL", "ftp://x"),
        ("WORKFLOWS_AIRFLOW_API", "v9"),
        ("WORKFLOWS_LOADERS", "0"),
        ("AIRFLOW_HEADERS", "X-Key: k"),
        ("AIRFLOW_HEADERS", '["X-Key"]'),
        ("AIRFLOW_HEADERS", '{"X-Key": 1}'),
        ("WORKFLOWS_ALLOWED_OPERATORS", " , "),
    ],
)
def test_a_wrong_value_names_its_variable(name, value):
    """The error says which variable is wrong."""
    with pytest.raises(ConfigurationError, match=name):
        load_settings({name: value})


def test_a_wrong_secret_is_never_shown(tmp_path):
    """Not even the error about a secret of the wrong type repeats it."""
    file = tmp_path / "c.yaml"
    file.write_text("airflow: {password: [hunter2]}\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"WORKFLOWS_CONFIG": str(file)})
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(load_settings({"AIRFLOW_PASSWORD": "hunter2"}))


@pytest.mark.parametrize("text", ['{"X-Key": hunter2}', '{"X-Key": ["hunter2"]}', '{"X-Key": "hunter2"}'])
def test_no_header_s_value_is_shown(text):
    """They are secrets, right or wrong."""
    try:
        shown = str(described(load_settings({"AIRFLOW_HEADERS": text})))
    except ConfigurationError as error:
        shown = str(error)
    assert "AIRFLOW_HEADERS" in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize(("total", "seconds"), [("1", 30), ("15", 45), ("600", 1800)])
def test_what_may_still_arrive_outlasts_every_request(total, seconds):
    """Three times as long as one request to Airflow may take, and half a minute at least."""
    assert load_settings({"AIRFLOW_TOTAL_TIMEOUT": total}).policy.in_flight_limit.total_seconds() == seconds


def test_headers_may_be_written_as_a_mapping(tmp_path):
    """In the YAML file, JSON is not required."""
    file = tmp_path / "c.yaml"
    file.write_text("airflow: {headers: {X-Key: hunter2}}\n")
    assert load_settings({"WORKFLOWS_CONFIG": str(file)}).headers == {"X-Key": "hunter2"}
    assert load_settings({}).headers == {}


@pytest.mark.parametrize("text", ["airflow: {pasword: x}", "airflow: [", "workflows: {s3: {buckett: x}}"])
def test_a_wrong_file_is_refused_naming_it(tmp_path, text):
    """A misspelt key or broken YAML is an error that names the file, not a silent default."""
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"c\.yaml"):
        load_settings({"WORKFLOWS_CONFIG": str(file)})


def test_a_missing_file_is_refused_naming_it(tmp_path):
    """A file that was asked for must be there."""
    with pytest.raises(ConfigurationError, match=r"gone\.yaml"):
        load_settings({"WORKFLOWS_CONFIG": str(tmp_path / "gone.yaml")})


def test_every_setting_is_named_after_its_system():
    """All variables are AIRFLOW_…, WORKFLOWS_… or DLI_…, each once."""
    assert len(set(NAMES)) == len(NAMES)
    assert all(name.startswith(("AIRFLOW_", "WORKFLOWS_", "DLI_")) for name in NAMES)


def test_every_setting_belongs_to_one_group_and_is_listed():
    """The settings are those of the groups: none twice, none forgotten in the list."""
    fields = [name for group in GROUPS for name in group.model_fields]
    assert len(set(fields)) == len(fields)
    assert set(fields) == set(Settings.model_fields) == set(NAMES.values())


def test_the_settings_are_each_of_their_groups():
    """Code that takes one group accepts the whole settings object."""
    assert all(isinstance(load_settings({}), group) for group in GROUPS)


def test_wrong_settings_are_named_in_the_order_of_the_list():
    """Several errors stand in one message, those of Airflow before those of HTTP."""
    with pytest.raises(ConfigurationError, match=r"AIRFLOW_ATTEMPTS.*WORKFLOWS_LOADERS.*WORKFLOWS_PORT.*DLI_PATIENCE"):
        load_settings({"DLI_PATIENCE": "x", "WORKFLOWS_PORT": "x", "AIRFLOW_ATTEMPTS": "x", "WORKFLOWS_LOADERS": "x"})


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@db/x",
        "postgresql://me:hun/ter2@db/x",
        "postgresql://me:hun@hunter2@db/x",
        "postgresql://db/x?user=me&password=hunter2&sslmode=require",
        "postgresql://db/x?sslPassword=hunter2",
    ],
)
def test_no_form_of_a_password_in_a_url_is_shown(url):
    """Wherever a URL may hold it; what is no secret stays readable."""
    environment = {"WORKFLOWS_DATABASE_URL": url}
    shown = {name: value for name, value, _ in described(load_settings(environment), environment)}
    value = shown["WORKFLOWS_DATABASE_URL"]
    assert "ter2" not in value
    assert "hun" not in value
    assert value.startswith("postgresql://")
    assert "db/x" in value
    assert ("sslmode=require" in value) == ("sslmode" in url)
