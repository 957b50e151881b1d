"""``start_date``: what is a date, and in which time zone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from workflow_core.domain.spec import WorkflowSpec, check_spec, parse_spec
from workflow_core.domain.spec.schema import json_schema
from workflow_core.errors import InvalidWorkflowSpec


def text(start: str, zone: str = "America/New_York") -> str:
    return (
        f'version: v1\nname: a.b\nowner: x\nschedule: {{cron: "0 22 * * *", timezone: {zone}}}\nstart_date: {start}\n'
    )


def refused(start: str, zone: str = "America/New_York") -> str:
    with pytest.raises(InvalidWorkflowSpec) as caught:
        check_spec(text(start, zone))
    (found,) = caught.value.problems
    assert (found.field, found.line, found.column) == ("start_date", 5, 13)
    return found.message


@pytest.mark.parametrize(
    "start",
    ["2027", '"2027"', "20270101", '"20270101"', "2e3", "1.5e9", "99999999999", "-1", "0", "0x7E9", "true", "[2027-01-01]", "{a: 1}",
     "2 days", "yesterday", "now", "P1D", "2027-01", "2027-W01-1", "2027-001", "2026-1-2", "01/02/2027", "2027/01/02", "2027-01-01T6:00",
     "2027-01-01T06", "2027-01-01T0600", "2027-01-01T06:00+1", "2027-01-01T06:00+0100", "2027-01-01 06:00 +01:00", "'2027-01-01 '",
     "2027-01-01T06:00:00.1234567", "'\u0662\u0660\u0662\u0667-01-01'", "''", "1850-01-01", "3000-01-01",
     "'2027-02-30'", "'2027-01-01T24:00'",
     "'2027-01-01T06:00+25:00'", "2027-01-01T06:00:00 Europe/Zurich"],
)  # fmt: skip
def test_whatever_is_no_iso_date_is_refused(start):
    """Digits are no seconds since 1970, and words are no distance from today."""
    assert refused(start)
    assert not Draft202012Validator(json_schema()).is_valid({"version": "v1", "name": "a", "start_date": 20270101})


@pytest.mark.parametrize(
    ("start", "fix"), [("20270101", "write 2027-01-01"), ("2026-1-2", "write 2026-01-02"), ("2027/3/4", "write 2027-03-04"),
     ("2 days", "such as 2027-01-01")],
)  # fmt: skip
def test_the_message_has_the_fix(start, fix):
    """The date that was probably meant, or an example."""
    assert fix in refused(start)


@pytest.mark.parametrize(
    ("start", "moment"),
    [
        ("2030-03-01", "2030-03-01T05:00:00"),
        ("2030-07-01", "2030-07-01T04:00:00"),
        ("2030-03-01T22:00", "2030-03-02T03:00:00"),
        ("2030-03-01 22:00:00.5", "2030-03-02T03:00:00.500000"),
        ("2030-03-01T22:00:00Z", "2030-03-01T22:00:00"),
        ("2030-03-01t22:00:00z", "2030-03-01T22:00:00"),
        ("2030-03-01T22:00:00+09:00", "2030-03-01T13:00:00"),
    ],
)
def test_a_time_without_an_offset_is_read_in_the_zone_of_the_schedule(start, moment):
    """A workflow of New York starts when its day begins there."""
    spec = parse_spec(text(start))
    assert spec.start_date == datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert WorkflowSpec.model_validate_json(spec.model_dump_json()) == spec


def test_without_a_zone_it_is_utc_and_the_callers_zone_wins():
    """As for the schedule itself."""
    plain = "version: v1\nname: a.b\nstart_date: 2030-03-01\n"
    assert parse_spec(plain).start_date == datetime(2030, 3, 1, tzinfo=UTC)
    assert parse_spec(text("2030-03-01"), timezone="Asia/Tokyo").start_date == datetime(2030, 2, 28, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "zone", "words"),
    [
        ("2027-03-28T02:30", "Europe/Zurich", "in Europe/Zurich, where the clocks go forward then; write 2027-03-28T03:30:00"),
        ("2027-03-14T02:00:00", "America/New_York", "write 2027-03-14T03:00:00"),
        ("2027-10-31T02:30", "Europe/Zurich", "the clocks go back then; write 2027-10-31T02:30:00+02:00 or 2027-10-31T02:30:00+01:00"),
        ("2027-04-04T01:45", "Australia/Lord_Howe", "exists twice"),
        ("2011-12-30T12:00", "Pacific/Apia", "does not exist"),
    ],
)  # fmt: skip
def test_a_wall_clock_time_that_is_no_single_moment_is_refused(start, zone, words):
    """Either moment would be a guess."""
    assert words in refused(start, zone)
    offset = {"Europe/Zurich": "+01:00"}.get(zone, "-05:00")
    assert parse_spec(text(f"{start}{'' if start.count(':') == 2 else ':00'}{offset}", zone)).start_date is not None


@pytest.mark.parametrize(
    ("start", "zone", "moment"),
    [
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00"),  # the day begins at 01:00
        ("2027-11-07", "America/Havana", "2027-11-07T04:00:00"),  # 00:00 comes twice
        ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00"),  # that day is left out; the next one begins then
    ],
)
def test_a_date_is_the_begin_of_its_day(start, zone, moment):
    """Also where midnight is left out, or comes twice."""
    assert parse_spec(text(start, zone)).start_date == datetime.fromisoformat(moment).replace(tzinfo=UTC)


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2900, 1, 1)),  # noqa: DTZ001
    st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York", "Europe/Zurich"]),
)
def test_any_moment_with_an_offset_is_that_moment(moment, zone):
    """Whatever the schedule's zone is."""
    assert parse_spec(text(f"{moment.isoformat()}Z", zone)).start_date == moment.replace(tzinfo=UTC)
