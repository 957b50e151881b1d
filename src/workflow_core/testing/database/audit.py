"""The rules for the audit."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import asdict, evolve

from workflow_core.domain.audit import Action, AuditFilter, audit_event
from workflow_core.domain.caller import Via
from workflow_core.domain.paging import PageRequest
from workflow_core.errors import InvalidRequest
from workflow_core.testing.database.idempotency import KEPT, FilledSubject
from workflow_core.testing.entities import AT, a_run, a_workflow, an_act
from workflow_core.testing.together import together

if TYPE_CHECKING:
    from workflow_core.domain.audit import AuditEntry, AuditEvent
    from workflow_core.ports.database import Database
    from workflow_core.testing.database.subject import DatabaseFacts

SECOND: Final = timedelta(seconds=1)
ODD: Final[dict[str, Any]] = {"ünï 数据 🙂": [1, 1.0, 1e300, True, None, {"": "'\"\\"}], "n": 2**53 + 1}


def events_of(database: Database, where: AuditFilter | None = None, **page: Any) -> list[AuditEvent]:
    """The recorded events."""
    return list(database.audit.list_events(where or AuditFilter(), PageRequest(**page)).items)


class AuditRules(FilledSubject):
    """The rules for the audit."""

    def test_changes_without_a_request_are_not_audited(self, filled: Database, behind: DatabaseFacts) -> None:
        """Changes that the service makes without a request are not in the audit."""
        filled.workflows.save_workflow(KEPT)
        filled.workflows.save_run(a_run(KEPT, run_id="kept"))
        filled.workflows.add_run(a_run(KEPT, run_id="new"))
        assert behind.audit_facts() == []

    @pytest.mark.parametrize("via", Via)
    def test_a_row_comes_back_as_it_was(self, database: Database, via: Via) -> None:
        """Every field is returned, JSON with equal values of the same types, the moment in UTC."""
        action = list(Action)[list(Via).index(via)]
        act = _from_http(
            via, action=action, at=AT.astimezone(timezone(timedelta(hours=9))), before=ODD, after={"x": ODD}
        )
        database.audit.append(act)
        (found,) = events_of(database)
        assert found == audit_event(evolve(act, at=AT), found.id)
        assert json.dumps(found.before, sort_keys=True) == json.dumps(ODD, sort_keys=True)  # distinguishes 1 from 1.0
        assert found.at.utcoffset() == timedelta(0)

    def test_what_is_not_known_is_none(self, database: Database) -> None:
        """Missing values are None: a sync has no workflow, a library has no address."""
        database.audit.append(an_act(None, dataset_name=None, run_id=None))
        (found,) = events_of(database)
        names = ("dataset_name", "run_id", "backfill_id", "address", "request_id", "before", "after")
        assert [getattr(found, name) for name in names] == [None] * 7

    def test_events_are_listed_latest_first(self, database: Database) -> None:
        """Events of one moment are ordered by id, not by insertion; pages contain every event exactly once."""
        for number in (3, 1, 1, 2, 0, 1):
            database.audit.append(an_act(None, at=AT + number * timedelta(microseconds=1), run_id=str(number)))
        whole = events_of(database)
        assert [event.run_id for event in whole] == ["3", "2", "1", "1", "1", "0"]
        assert whole == sorted(whole, key=lambda event: (event.at, str(event.id)), reverse=True)
        for limit in (1, 2, 4):
            page = database.audit.list_events(AuditFilter(), PageRequest(limit=limit))
            found = list(page.items)
            while page.next_after is not None and len(found) <= len(whole):
                page = database.audit.list_events(AuditFilter(), PageRequest(limit=limit, after=page.next_after))
                found += page.items
            assert found == whole
            assert page.total == 6
        assert events_of(database, offset=2, limit=3) == whole[2:5]

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            (AuditFilter(), "54321"),
            (AuditFilter(dataset_name="a.b"), "542"),
            (AuditFilter(action=Action.PAUSE), "42"),
            (AuditFilter(who="ann"), "31"),
            (AuditFilter(who="Ann"), ""),
            (AuditFilter(since=AT + 2 * SECOND), "5432"),
            (AuditFilter(until=AT + 3 * SECOND), "21"),
            (AuditFilter(since=AT + 2 * SECOND, until=AT + 4 * SECOND, action=Action.PAUSE, dataset_name="a.b"), "2"),
            (AuditFilter(dataset_name="a_b"), ""),
        ],
    )
    def test_filters(self, database: Database, where: AuditFilter, expected: str) -> None:
        """Each filter works alone and with the others; ``since`` is included, ``until`` is excluded."""
        for number in range(1, 6):
            database.audit.append(
                an_act(
                    None,
                    scope="ann" if number in {1, 3} else "bob",
                    action=Action.PAUSE if number % 2 == 0 else Action.RUN,
                    at=AT + number * SECOND,
                    dataset_name="a.b" if number in {2, 4, 5} else None,
                    run_id=str(number),
                )
            )
        page = database.audit.list_events(where, PageRequest(limit=1))
        assert page.total == len(expected)
        assert "".join(event.run_id or "" for event in events_of(database, where)) == expected

    @pytest.mark.parametrize("after", [("x", "y"), ("2026-01-01T10:00:00.123456+00:00", "y"), ("x", "0" * 32)])
    def test_a_key_of_something_else_is_refused(self, database: Database, after: tuple[str, ...]) -> None:
        """A cursor that no page returned is refused."""
        with pytest.raises(InvalidRequest, match="cursor"):
            database.audit.list_events(AuditFilter(), PageRequest(after=after))

    def test_a_race_leaves_a_row_for_each_that_succeeded(self, filled: Database, behind: DatabaseFacts) -> None:
        """Of many requests with one run id, one adds the run, and the audit has one event."""
        owner = a_workflow("a.owner")
        filled.workflows.add_workflow(owner)
        adds = [
            partial(filled.workflows.add_run, a_run(owner, run_id="one"), act=an_act(None, run_id="one"))
            for _ in range(8)
        ]
        assert together(adds).count(None) == 1
        assert [facts["run_id"] for facts in behind.audit_facts()] == ["one"]

    def test_events_are_copies(self, database: Database) -> None:
        """A caller that changes a returned or an appended value does not change the stored one."""
        after = {"params": {"a": 1}}
        database.audit.append(an_act(None, after=after))
        after["params"]["a"] = 2
        (found,) = events_of(database)
        assert found.after is not None
        found.after["params"]["a"] = 3
        (again,) = events_of(database)
        assert asdict(again)["after"] == {"params": {"a": 1}}


def _from_http(via: Via, **changes: Any) -> AuditEntry:
    act = an_act(None, run_id=None, backfill_id="b", **changes)
    return evolve(act, caller=evolve(act.caller, via=via, address="2001:db8::1", request_id="abc-1"))
