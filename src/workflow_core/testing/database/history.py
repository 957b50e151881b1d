"""The rules for lists of runs: the history and the last runs."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from workflow_core.domain.filters import HistoryFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.errors import InvalidRequest
from workflow_core.testing.database.subject import DatabaseSubject
from workflow_core.testing.entities import AT, a_run, a_workflow

if TYPE_CHECKING:
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow
    from workflow_core.ports.database import Database

ANY = HistoryFilter()
MICROSECOND = timedelta(microseconds=1)


class HistoryRules(DatabaseSubject):
    """The rules for lists of runs."""

    @pytest.fixture
    def owner(self, database: Database) -> Workflow:
        """The workflow that the runs belong to, stored in ``database``."""
        workflow = a_workflow()
        database.workflows.add_workflow(workflow)
        return workflow

    @pytest.fixture
    def many(self, database: Database, owner: Workflow) -> list[str]:
        """The ids of ten runs, latest first; some started in the same microsecond."""
        starts = {"r9": 3, "r_b": 2, "r_B": 2, "r10": 2, "r1": 2, "ra": 0, "r_": 0, "rZ": 0, "r0": 0, "r-": 0}
        ids = sorted(starts, key=lambda run_id: (starts[run_id], run_id), reverse=True)
        for run_id in Random(1).sample(ids, len(ids)):
            database.workflows.add_run(a_run(owner, run_id=run_id, started_at=AT + starts[run_id] * MICROSECOND))
        return ids

    def test_history_is_latest_first(self, database: Database, many: list[str]) -> None:
        """The order is that of the start to the microsecond, then of the run id by code points, both descending."""
        assert many == ["r9", "r_b", "r_B", "r10", "r1", "ra", "r_", "rZ", "r0", "r-"]
        assert _ids(database) == many

    def test_history_goes_by_start_not_acceptance(self, database: Database, owner: Workflow) -> None:
        """The start that Airflow reports decides the place of a run, not its acceptance."""
        database.workflows.add_run(a_run(owner, run_id="r1", at=AT, started_at=AT + timedelta(hours=2)))
        database.workflows.add_run(a_run(owner, run_id="r2", at=AT + timedelta(hours=1)))
        assert _ids(database) == ["r1", "r2"]

    def test_listed_runs_are_complete(self, database: Database, owner: Workflow) -> None:
        """An item of the history is the same as the one read by id."""
        database.workflows.add_run(a_run(owner))
        assert database.workflows.history(ANY, PageRequest()).items == (a_run(owner),)

    def test_an_empty_history_is_one_empty_page(self, database: Database) -> None:
        """An empty history is one page without items, with total 0 and without a next key."""
        page = database.workflows.history(ANY, PageRequest())
        assert (page.items, page.total, page.next_after) == ((), 0, None)

    def test_history_of_one_dataset(self, database: Database, owner: Workflow) -> None:
        """A name lists only its own runs; an unknown name lists none."""
        other = a_workflow(owner.dataset_name + "_2")
        database.workflows.add_workflow(other)
        database.workflows.add_run(a_run(owner))
        database.workflows.add_run(a_run(other))
        page = database.workflows.history(HistoryFilter(dataset_name=owner.dataset_name), PageRequest())
        assert (page.items, page.total) == ((a_run(owner),), 1)
        assert database.workflows.history(HistoryFilter(dataset_name="a.no"), PageRequest()).total == 0

    @pytest.mark.parametrize(
        ("start", "end", "ids"),
        [
            (None, None, ["r5", "r4", "r3", "r2", "r1"]),
            (date(2026, 1, 2), None, ["r5", "r4", "r3", "r2"]),
            (None, date(2026, 1, 2), ["r4", "r3", "r2", "r1"]),
            (date(2026, 1, 2), date(2026, 1, 2), ["r4", "r3", "r2"]),
            (date(2026, 1, 3), date(2026, 1, 2), []),
            (date.min, date.max, ["r5", "r4", "r3", "r2", "r1"]),
        ],
    )
    def test_the_window_holds_whole_days(
        self, database: Database, owner: Workflow, start: date | None, end: date | None, ids: list[str]
    ) -> None:
        """Both days count, from their first microsecond in UTC to their last."""
        midnight = AT.replace(day=2, hour=0, minute=0, second=0, microsecond=0)
        starts = [midnight - MICROSECOND, midnight, midnight + timedelta(hours=12)]
        starts += [midnight + timedelta(days=1) - MICROSECOND, midnight + timedelta(days=1)]
        for number, moment in enumerate(starts, start=1):
            database.workflows.add_run(a_run(owner, run_id=f"r{number}", started_at=moment))
        page = database.workflows.history(HistoryFilter(start_date=start, end_date=end), PageRequest())
        assert ([run.run_id for run in page.items], page.total) == (ids, len(ids))

    @pytest.mark.parametrize("limit", [1, 3, 5, 9, 10, 11])
    def test_pages_of_history_join_to_the_whole(self, database: Database, many: list[str], limit: int) -> None:
        """Pages that follow each other's keys contain every run once, in order, also within one microsecond."""
        page = database.workflows.history(ANY, PageRequest(limit=limit))
        ids, pages = [run.run_id for run in page.items], 1
        while page.next_after is not None:
            assert (len(page.items), page.total) == (limit, len(many))
            page = database.workflows.history(ANY, PageRequest(limit=limit, after=page.next_after))
            ids += [run.run_id for run in page.items]
            pages += 1
            assert pages <= len(many), "the pages do not end"
        assert (ids, page.total) == (many, len(many))
        assert pages == -(-len(many) // limit), "the last page that has items is known to be the last"

    def test_the_key_of_a_page(self, database: Database, many: list[str]) -> None:
        """The key is the start of the last item, with microseconds, and its id, so it is valid in every process."""
        assert database.workflows.history(ANY, PageRequest(limit=1)).next_after == (
            "2026-01-01T10:00:00.123459+00:00",
            many[0],
        )

    def test_pages_of_history_stay_in_place(self, database: Database, owner: Workflow, many: list[str]) -> None:
        """A run that starts between two pages does not move the next page, and no run needs to have the key."""
        database.workflows.add_run(a_run(owner, run_id="later", started_at=AT + timedelta(days=1)))
        page = database.workflows.history(ANY, PageRequest(limit=3, after=("2026-01-01T10:00:00.123458+00:00", "r_C")))
        assert [run.run_id for run in page.items] == many[2:5]

    def test_pages_of_history_by_offset(self, database: Database, many: list[str]) -> None:
        """An offset skips items after the key, if there is one; beyond the end the page is empty."""
        assert [run.run_id for run in database.workflows.history(ANY, PageRequest(limit=3, offset=4)).items] == many[
            4:7
        ]
        after = database.workflows.history(ANY, PageRequest(limit=2)).next_after
        assert [
            run.run_id for run in database.workflows.history(ANY, PageRequest(limit=2, offset=1, after=after)).items
        ] == many[3:5]
        beyond = database.workflows.history(ANY, PageRequest(limit=3, offset=100))
        assert (beyond.items, beyond.total, beyond.next_after) == ((), len(many), None)

    @pytest.mark.parametrize(
        "moment", ["", "yesterday", "2026-01-01", "2026-01-01T10:00:00", "0001-01-01T00:00:00+01:00"]
    )
    def test_an_odd_key_is_refused(self, database: Database, moment: str) -> None:
        """A page key that the list did not return is an invalid request."""
        with pytest.raises(InvalidRequest, match="cursor"):
            database.workflows.history(ANY, PageRequest(after=(moment, "r1")))

    def test_last_runs_are_the_first_of_each_history(
        self, database: Database, owner: Workflow, many: list[str]
    ) -> None:
        """For each name with runs the latest run is returned; within one microsecond, the one with the greatest id."""
        other, idle = a_workflow("a.other"), a_workflow("a.idle")
        database.workflows.add_workflow(other)
        database.workflows.add_workflow(idle)
        for run_id in ("o2", "o10", "o1"):
            database.workflows.add_run(a_run(other, run_id=run_id))
        database.workflows.add_run(a_run(other, run_id="o3", started_at=AT - MICROSECOND))
        names = [owner.dataset_name, "a.other", "a.idle", "a.no", "a.other"]
        found = database.workflows.last_runs(iter(names))
        assert {name: run.run_id for name, run in found.items()} == {owner.dataset_name: many[0], "a.other": "o2"}
        assert found["a.other"] == a_run(other, run_id="o2")

    def test_last_runs_of_others_are_left_out(self, database: Database, many: list[str]) -> None:
        """Only requested names are in the answer."""
        assert many
        assert database.workflows.last_runs(["a.other"]) == {}
        assert database.workflows.last_runs([]) == {}

    def test_last_runs_of_very_many(self, database: Database, owner: Workflow, many: list[str]) -> None:
        """The number of names is not limited."""
        names = [f"a.b{n}" for n in range(40_000)] + [owner.dataset_name]
        assert [run.run_id for run in database.workflows.last_runs(names).values()] == many[:1]


def _ids(database: Database) -> list[str]:
    runs: tuple[Run, ...] = database.workflows.history(ANY, PageRequest()).items
    return [run.run_id for run in runs]
