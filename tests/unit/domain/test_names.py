from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_core.domain.names import (
    check_dataset_name,
    check_run_id,
    dag_id_for,
    loader_for,
    quoted,
    run_id_for,
    sentinel_dag_id,
    uuid7,
)
from workflow_core.errors import InvalidRequest

LEGAL = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_-]{0,8}(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,8}){1,4}\Z")


@pytest.mark.parametrize("name", ["a.b", "iceberg.analytics.daily_clicks", "1.2", "_a.b-c", "x" * 98 + "." + "y" * 101])
def test_legal_names_come_back_unchanged(name):
    """A valid dataset name is returned unchanged."""
    assert check_dataset_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "one",
        ".a.b",
        "a.b.",
        "a..b",
        "a.-b",
        "a/b.c",
        "../a.b",
        "a.b\0",
        "a b.c",
        "a.b\n",
        "ä.b",
        "a.b%2e",
        "a." + "b" * 299,
    ],
)
def test_illegal_names_are_refused_naming_the_field(name):
    """Anything else is refused, and the message starts with the field."""
    with pytest.raises(InvalidRequest, match=r"^dataset_name: ") as caught:
        check_dataset_name(name)
    assert caught.value.message.isascii()
    assert caught.value.message.isprintable()


@given(LEGAL)
def test_dag_ids_and_run_ids_of_legal_names_are_taken_by_airflow(name):
    """Every legal name gives a DAG id and run ids within Airflow's own rules."""
    assert set(dag_id_for(name)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
    run_id = run_id_for(name, datetime(2026, 1, 1, 10, tzinfo=UTC), nth=123)
    assert check_run_id(run_id) == run_id


def test_run_id_is_the_name_and_the_second_of_acceptance():
    """The run id of the specification's example."""
    at = datetime(2026, 1, 1, 10, 0, 0, 999_999, tzinfo=UTC)
    assert run_id_for("iceberg.analytics.daily_clicks", at) == "iceberg.analytics.daily_clicks_20260101_100000"
    assert run_id_for("a.b", at, nth=2) == "a.b_20260101_100000_2"


@pytest.mark.parametrize("run_id", ["", "a/b", "a b", "a..b", "a\n", "é", "x" * 251])
def test_run_ids_that_airflow_would_refuse_are_refused(run_id):
    """What Airflow would refuse never reaches it."""
    with pytest.raises(InvalidRequest, match=r"^run_id: "):
        check_run_id(run_id)


def test_the_loader_of_a_dag_never_changes():
    """A change here would move workflows between files of running installations."""
    assert [loader_for(dag_id, 8) for dag_id in ("a_b", "iceberg_analytics_daily_clicks", "x_y")] == [2, 3, 1]
    assert sentinel_dag_id(3, 8) == "workflow_core_loader_03_of_08"


def test_ids_are_uuid7_and_sort_by_time():
    """Generated ids are of version 7 and ordered by their moment."""
    early = uuid7(datetime(2026, 1, 1, tzinfo=UTC))
    late = uuid7(datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC))
    assert early.version == late.version == 7
    assert early.variant == "specified in RFC 4122"
    assert early < late
    assert int(early) >> 80 == 1_767_225_600_000


@given(st.text())
def test_shown_text_is_printable_ascii_and_short(text):
    """Whatever a caller sends, what a message repeats of it is harmless and bounded."""
    assert quoted(text).isascii()
    assert quoted(text).isprintable()
    assert len(quoted(text)) <= 62 * 10
