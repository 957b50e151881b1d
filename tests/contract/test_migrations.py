"""Upgrades of a PostgreSQL database in use."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from workflow_adapters.sql import HEAD, current_revision, make_engine, migrations, upgrade
from workflow_adapters.sql.migrations import alembic_config, online
from workflow_core.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from devstack.postgres import LocalPostgres


def test_an_upgrade_waits_for_another_process(postgres: LocalPostgres, caplog: pytest.LogCaptureFixture) -> None:
    """While another process has the lock, the upgrade changes nothing; it continues after the release."""
    engine = make_engine(postgres.create_database("waits"))
    with ThreadPoolExecutor(1) as thread, engine.connect() as other, caplog.at_level("INFO"):
        other.execute(sa.select(sa.func.pg_advisory_lock(migrations._ADVISORY_LOCK)))
        other.commit()
        waiting = thread.submit(upgrade, engine)
        deadline = time.monotonic() + 20
        while "another process upgrades" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert current_revision(engine) is None
        other.execute(sa.select(sa.func.pg_advisory_unlock(migrations._ADVISORY_LOCK)))
        assert waiting.result(30) == HEAD
    engine.dispose()


def test_an_upgrade_gives_up_behind_a_long_transaction(
    postgres: LocalPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long transaction of another client stops a revision, which leaves no change, and a later repeat succeeds."""
    engine = make_engine(postgres.create_database("gives_up"))
    transactional = engine.execution_options(isolation_level="READ COMMITTED")
    with transactional.connect() as connection:
        command.upgrade(alembic_config(connection), "0006")
    monkeypatch.setattr(migrations, "LOCK_WAIT", 100)
    with transactional.connect() as reader:
        reader.execute(sa.text("SELECT count(*) FROM workflow_runs"))
        with pytest.raises(DatabaseUnavailable):
            upgrade(engine)
        assert current_revision(engine) == "0006"
        with transactional.connect() as writer:
            writer.execute(sa.text("UPDATE workflow_runs SET reason = 'x'"))
    assert upgrade(engine) == HEAD
    engine.dispose()


def test_an_index_is_created_online(postgres: LocalPostgres) -> None:
    """The index is created outside the transaction of the revision, and replaces an invalid one of a failed attempt."""
    engine = make_engine(postgres.create_database("online"))
    upgrade(engine)
    with engine.execution_options(isolation_level="READ COMMITTED").connect() as connection:
        connection.execute(sa.text("CREATE INDEX i ON workflows (owner)"))
        connection.execute(sa.text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass"))
        connection.commit()
        context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
        with context.begin_transaction(_per_migration=True), Operations.context(context):
            online.create_index("i", "workflows", ["owner", "dataset_name"], where="phase = 'served'")
        index = connection.execute(
            sa.text("SELECT indisvalid, pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid = 'i'::regclass")
        ).one()
    assert index.indisvalid
    assert "(owner, dataset_name) WHERE" in index.pg_get_indexdef
    engine.dispose()
