"""``RunPort`` on PostgreSQL and SQLite."""

from __future__ import annotations

from functools import lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

import sqlalchemy as sa
from attrs import evolve
from sqlalchemy.exc import IntegrityError

from workflow_adapters.sql.audit import audited, rows_of
from workflow_adapters.sql.columns import UtcDateTime
from workflow_adapters.sql.errors import violated
from workflow_adapters.sql.idempotency import taken
from workflow_adapters.sql.mapping import RUN_IDENTITY, changes, new_run_row, run_of, run_row
from workflow_adapters.sql.statements import Prepared
from workflow_adapters.sql.tables import (
    ACTIVE_RUN,
    MAY_RUN,
    RETRYING_RUN,
    RUN_TO_SEND,
    STOPPING_RUN,
    runs,
    workflows,
)
from workflow_adapters.sql.visibility import is_of_visible
from workflow_core.domain.paging import Page, key_moment, moment_key
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.domain.workflow import Phase
from workflow_core.errors import ConcurrentUpdate, RunAlreadyExists, WorkflowNotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from sqlalchemy.engine import Connection

    from workflow_adapters.sql.transactions import Transactions
    from workflow_core.domain.audit import AuditEntry
    from workflow_core.domain.filters import HistoryFilter
    from workflow_core.domain.paging import PageRequest
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow

T = TypeVar("T")

_RUN_ID: Final = "uq_workflow_runs_run_id"
_AIRFLOW_ID: Final = "uq_workflow_runs_dag_id_airflow_run_id"
_ONE_STATEMENT: Final = 500
"""Keys per statement; the databases limit the number of parameters."""


class SqlRuns:
    """:class:`~workflow_core.ports.runs.RunPort` on PostgreSQL or SQLite."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def add_run(self, run: Run, *, of_version: int | None = None, act: AuditEntry | None = None) -> None:
        rows = {runs: new_run_row(run), **rows_of(act)}
        values: dict[str, Any] = {"owner": run.workflow_id, "version_seen": of_version}
        for table, row in rows.items():
            values |= {f"{table.name}_{name}": value for name, value in row.items() if value is not None}
        added = partial(
            _insertion,
            given=frozenset(values),
            submitted=run.submission is Submission.SUBMITTED,
            versioned=of_version is not None,
        )
        try:
            # the run and its audit in one statement on PostgreSQL, where each statement is a round trip
            if len(rows) > 1 and self._transactions.dialect == "postgresql":
                with taken(act), self._transactions.writing(single=True) as connection:
                    _check_added(added(*rows).execute(connection, values).scalar_one(), run, of_version)
            else:
                with audited(self._transactions, act, single=True) as connection:
                    _check_added(added(runs).execute(connection, values).rowcount, run, of_version)
        except IntegrityError as error:
            raise_if_taken(self._transactions, error, [run])
            raise

    def run(self, run_id: str) -> Run | None:
        with self._transactions.reading(single=True) as connection:
            row = connection.execute(sa.select(runs).where(runs.c.run_id == run_id)).mappings().first()
        return None if row is None else run_of(row)

    def run_versions(self, run_ids: Collection[str]) -> Mapping[str, int]:
        found: dict[str, int] = {}
        with self._transactions.reading(single=len(run_ids) <= _ONE_STATEMENT) as connection:
            for some in batches(run_ids):
                query = sa.select(runs.c.run_id, runs.c.version).where(runs.c.run_id.in_(some))
                found |= {row.run_id: row.version for row in connection.execute(query)}
        return found

    def run_statuses(self, run_ids: Collection[str]) -> Mapping[str, RunStatus]:
        found: dict[str, RunStatus] = {}
        with self._transactions.reading(single=len(run_ids) <= _ONE_STATEMENT) as connection:
            for some in batches(run_ids):
                query = sa.select(runs.c.run_id, runs.c.status).where(runs.c.run_id.in_(some))
                found |= {row.run_id: RunStatus(row.status) for row in connection.execute(query)}
        return found

    def runs_by_airflow_id(self, keys: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Run]:
        pair = sa.tuple_(runs.c.dag_id, runs.c.airflow_run_id)
        queries = (sa.select(runs).where(pair.in_(some)) for some in batches(keys))
        return {(run.dag_id, run.airflow_run_id): run for run in self._all(queries)}

    def save_run(self, run: Run, *, act: AuditEntry | None = None) -> Run:
        with audited(self._transactions, act, single=True) as connection:
            return saved_run(connection, run)

    def history(self, where: HistoryFilter, page: PageRequest) -> Page[Run]:
        conditions = _conditions(where, self._transactions.dialect)
        place = sa.tuple_(runs.c.started_at, runs.c.run_id)
        after = []
        if page.after is not None:
            moment, run_id = page.after
            after = [place < sa.tuple_(sa.literal(key_moment(moment), UtcDateTime()), sa.literal(run_id))]
        query = sa.select(runs).where(*conditions, *after).order_by(runs.c.started_at.desc(), runs.c.run_id.desc())
        with self._transactions.reading() as connection:
            total = connection.execute(sa.select(sa.func.count()).select_from(runs).where(*conditions)).scalar_one()
            rows = connection.execute(query.limit(page.limit + 1).offset(page.offset)).mappings().all()
        found = tuple(map(run_of, rows[: page.limit]))
        more = len(rows) > page.limit
        key = (moment_key(found[-1].started_at), found[-1].run_id) if more else None
        return Page(items=found, total=total, next_after=key)

    def last_runs(self, dataset_names: Iterable[str]) -> Mapping[str, Run]:
        # for each name one step into the index of its history, regardless of its length
        latest = (
            sa.select(runs.c.run_id)
            .where(runs.c.dataset_name == workflows.c.dataset_name)
            .order_by(runs.c.started_at.desc(), runs.c.run_id.desc())
            .limit(1)
            .correlate(workflows)
            .scalar_subquery()
        )
        queries = (
            sa.select(runs).where(runs.c.run_id.in_(sa.select(latest).where(workflows.c.dataset_name.in_(some))))
            for some in batches(dataset_names)
        )
        return {run.dataset_name: run for run in self._all(queries)}

    def runs_to_send(self, limit: int, *, sent_before: datetime) -> Sequence[Run]:
        may_run = sa.exists().where(workflows.c.id == runs.c.workflow_id, sa.text(MAY_RUN))
        order = runs.c.sent_at.asc().nulls_first(), runs.c.run_id
        waits = runs.c.submission == Submission.WAITING.value
        due = sa.or_(waits, runs.c.sent_at.is_(None), runs.c.sent_at < sa.literal(sent_before, UtcDateTime()))
        query = sa.select(runs).where(sa.text(RUN_TO_SEND), may_run, due).order_by(*order).limit(limit)
        return tuple(self._all([query]))

    def stopping_runs(self, limit: int) -> Sequence[Run]:
        order = runs.c.stop_asked_at.asc().nulls_first(), runs.c.run_id
        return tuple(self._all([sa.select(runs).where(sa.text(STOPPING_RUN)).order_by(*order).limit(limit)]))

    def retrying_runs(self, limit: int) -> Sequence[Run]:
        order = runs.c.sent_at.asc().nulls_first(), runs.c.run_id
        return tuple(self._all([sa.select(runs).where(sa.text(RETRYING_RUN)).order_by(*order).limit(limit)]))

    def runs_to_poll(self, limit: int) -> Sequence[Run]:
        # sorted here: active runs are few compared with those that have ended
        order = runs.c.observed_at.asc().nulls_first(), runs.c.run_id
        in_airflow = runs.c.submission == Submission.SUBMITTED.value
        return tuple(self._all([sa.select(runs).where(sa.text(ACTIVE_RUN), in_airflow).order_by(*order).limit(limit)]))

    def active_runs(self, workflow: Workflow) -> Sequence[Run]:
        mine = runs.c.workflow_id == workflow.id
        return tuple(self._all([sa.select(runs).where(mine, sa.text(ACTIVE_RUN)).order_by(runs.c.run_id)]))

    def dated_runs(self, workflow: Workflow, first: date, last: date) -> Sequence[Run]:
        order = runs.c.run_date, runs.c.started_at, runs.c.run_id
        return tuple(self._all([sa.select(runs).where(*dated_within(workflow.id, first, last)).order_by(*order)]))

    def _all(self, queries: Iterable[sa.Select[Any]]) -> list[Run]:
        with self._transactions.reading() as connection:
            rows = [row for query in queries for row in connection.execute(query).mappings()]
        return [run_of(row) for row in rows]


@lru_cache(maxsize=100)
def _insertion(*tables: sa.Table, given: frozenset[str], submitted: bool, versioned: bool) -> Prepared:
    """The statement that adds a run if its workflow accepts it and, only then, a row to each of the other tables.

    With several tables it returns how many runs it added. It waits for a transaction that is about to retire the workflow, and that
    transaction waits for it (``FOR SHARE``; SQLite has one writer at a time). It sets only the ``given`` columns.
    """
    closed = [Phase.LEAVING, Phase.GONE, *([] if submitted else [Phase.UNREGISTERING])]
    conditions = [workflows.c.id == sa.bindparam("owner", type_=workflows.c.id.type)]
    conditions += [workflows.c.phase != phase.value for phase in closed]
    if versioned:
        conditions.append(workflows.c.version == sa.bindparam("version_seen", type_=workflows.c.version.type))
    owner = sa.select(workflows.c.id).where(*conditions).with_for_update(read=True)
    run = _row_of(runs, given)
    statement = runs.insert().from_select(list(run), owner.with_only_columns(*run.values()))
    if len(tables) == 1:
        return Prepared(statement)
    added = statement.returning(runs.c.run_id).cte("added")
    query = sa.select(sa.func.count()).select_from(added)
    for table in tables[1:]:
        row = _row_of(table, given)
        inserted = table.insert().from_select(list(row), sa.select(*row.values()).select_from(added))
        query = query.add_cte(inserted.cte(f"to_{table.name}"))
    return Prepared(query)


def _row_of(table: sa.Table, given: frozenset[str]) -> dict[str, sa.ColumnElement[Any]]:
    """The parameters of the columns of this table that are given."""
    names = {column.name: f"{table.name}_{column.name}" for column in table.c}
    return {
        column: sa.bindparam(name, type_=table.c[column].type).label(column)
        for column, name in names.items()
        if name in given
    }


def _check_added(added: int, run: Run, of_version: int | None) -> None:
    if added == 0 and of_version is not None:
        what = f"Workflow {run.dataset_name!r}"
        raise ConcurrentUpdate(what)
    if added == 0:
        raise WorkflowNotFound(run.dataset_name)


def raise_if_taken(transactions: Transactions, error: IntegrityError, added: Sequence[Run]) -> None:
    """Raise :class:`RunAlreadyExists` if the error means that an id of one of these runs is taken."""
    if violated(error) not in {_RUN_ID, _AIRFLOW_ID}:
        return
    port = SqlRuns(transactions)
    held = port.runs_by_airflow_id((run.dag_id, run.airflow_run_id) for run in added)
    holders = (held.get((run.dag_id, run.airflow_run_id)) or port.run(run.run_id) for run in added)
    holder = next((run for run in holders if run), added[0])  # no holder: it was deleted in the meantime
    raise RunAlreadyExists(holder.run_id) from error


def saved_run(connection: Connection, run: Run) -> Run:
    """Write a run back within a transaction."""
    row = run_row(run)
    values = {f"is_{name}": row[name] for name in _SAME} | {
        f"new_{name}": value for name, value in changes(row, RUN_IDENTITY).items()
    }
    if _UPDATE.execute(connection, values).rowcount == 0:
        what = f"Run {run.run_id!r}"
        raise ConcurrentUpdate(what)
    return evolve(run, version=run.version + 1)


def _update() -> sa.Update:
    """The statement that saves a run if its version is unchanged; compiled once, like the statement that adds a run."""
    same = [runs.c[name] == sa.bindparam(f"is_{name}", type_=runs.c[name].type) for name in _SAME]
    changed = [column for column in runs.c if column.name not in {"id", *RUN_IDENTITY}]
    return runs.update().where(*same).values({c.name: sa.bindparam(f"new_{c.name}", type_=c.type) for c in changed})


_SAME: Final = (*RUN_IDENTITY, "version")
_UPDATE: Final = Prepared(_update())


def dated_within(workflow_id: UUID, first: date, last: date) -> tuple[sa.ColumnElement[bool], ...]:
    """The conditions for the runs of a workflow with a run date in this range."""
    return runs.c.workflow_id == workflow_id, runs.c.run_date >= first, runs.c.run_date <= last


def _conditions(where: HistoryFilter, dialect: str) -> Sequence[sa.ColumnElement[bool]]:
    start, end = where.window
    found: list[sa.ColumnElement[bool]] = []
    if where.visible is not None:
        found.append(is_of_visible(runs.c.workflow_id, where.visible, dialect))
    if where.dataset_name is not None:
        found.append(runs.c.dataset_name == where.dataset_name)
    if start is not None:
        found.append(runs.c.started_at >= start)
    if end is not None:
        found.append(runs.c.started_at < end)
    return found


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """The distinct items, in batches that fit into one statement."""
    rest = iter(dict.fromkeys(items))
    while batch := list(islice(rest, _ONE_STATEMENT)):
        yield batch
