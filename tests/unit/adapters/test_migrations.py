"""Tests of migrations, which run while services of the previous version are in use and must not disturb them."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from workflow_adapters.sql.migrations import alembic_config, online

if TYPE_CHECKING:
    from collections.abc import Callable

SQUAWK = Path(sys.executable).parent / "squawk"

LEFT_OUT = (
    "require-lock-timeout",  # `upgrade` sets it, once for all of them
    "require-statement-timeout",  # `upgrade` sets none: CREATE INDEX CONCURRENTLY may take long and blocks no other session
    "prefer-bigint-over-int",  # about types, not about locks
    "prefer-text-field",  # about types, not about locks
)

BEFORE_THE_RULE = {
    # Written before the first deployment, so that they could disturb no service. They must not be changed any longer.
    "0002": {
        "adding-foreign-key-constraint",
        "adding-not-nullable-field",
        "ban-drop-constraint",
        "constraint-missing-not-valid",
        "require-concurrent-index-creation",
        "require-concurrent-index-deletion",
    },
    "0003": {"require-concurrent-index-creation", "require-concurrent-index-deletion"},
    "0007": {"require-concurrent-index-creation"},
}

REVISIONS = [
    (script.down_revision or "base", script.revision)
    for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()
]


def violations(sql: str) -> set[str]:
    """The rules of squawk that these statements violate; tables that the statements create are exempt."""
    arguments = ["--pg-version", "14", "--reporter", "json", *(f"--exclude={rule}" for rule in LEFT_OUT)]
    done = subprocess.run([SQUAWK, *arguments], input=sql, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return {found["rule_name"] for found in json.loads(done.stdout)}


def generated(before: str, revision: str) -> str:
    """The SQL of one revision for PostgreSQL."""
    config, text = alembic_config(), StringIO()
    config.output_buffer = text
    command.upgrade(config, f"{before}:{revision}", sql=True)
    return text.getvalue()


@pytest.mark.parametrize(("before", "revision"), REVISIONS, ids=str)
def test_a_revision_takes_no_blocking_lock_and_removes_nothing(before, revision):
    """The test uses squawk; the table above has the exact exceptions."""
    assert violations(generated(before, revision)) == BEFORE_THE_RULE.get(revision, set())


def written(do: Callable[[Operations], object]) -> str:
    """The SQL of some operations in a revision on PostgreSQL."""
    text = StringIO()
    options = {"as_sql": True, "output_buffer": text, "transactional_ddl": True, "transaction_per_migration": True}
    context = MigrationContext.configure(dialect_name="postgresql", opts=options)
    with context.begin_transaction(_per_migration=True), Operations.context(context) as operations:
        do(operations)
    return text.getvalue()


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("ALTER TABLE workflows ADD COLUMN x integer NOT NULL", "adding-required-field"),
        ("CREATE INDEX i ON workflows (owner)", "require-concurrent-index-creation"),
        ("DROP INDEX i", "require-concurrent-index-deletion"),
        ("ALTER TABLE workflows ALTER COLUMN owner TYPE text", "changing-column-type"),
        ("ALTER TABLE workflows ALTER COLUMN yaml SET NOT NULL", "adding-not-nullable-field"),
        ("ALTER TABLE workflows DROP COLUMN owner", "ban-drop-column"),
        ("ALTER TABLE workflows RENAME COLUMN owner TO o", "renaming-column"),
        ("ALTER TABLE workflows RENAME TO w", "renaming-table"),
        ("DROP TABLE workflows", "ban-drop-table"),
        ("ALTER TABLE workflows ADD CONSTRAINT c UNIQUE (owner)", "disallowed-unique-constraint"),
        ("ALTER TABLE workflows ADD CONSTRAINT c CHECK (version > 0)", "constraint-missing-not-valid"),
        (
            "ALTER TABLE workflows ADD CONSTRAINT c FOREIGN KEY (id) REFERENCES workflow_runs (id)",
            "adding-foreign-key-constraint",
        ),
        ("CREATE INDEX CONCURRENTLY i ON workflows (owner)", "ban-concurrent-index-creation-in-transaction"),
    ],
)
def test_disruptive_statements_are_rejected(statement, rule):
    """Each of these would block or break a running service."""
    assert rule in violations(written(lambda operations: operations.execute(statement)))


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE workflows ADD COLUMN x integer",
        "ALTER TABLE workflows ADD COLUMN x integer NOT NULL DEFAULT 1",
        "CREATE TABLE t (x integer NOT NULL, CONSTRAINT u UNIQUE (x)); CREATE INDEX i ON t (x)",
        "ALTER TABLE workflows ADD CONSTRAINT c CHECK (version > 0) NOT VALID",
    ],
)
def test_harmless_statements_are_accepted(statement):
    """No session notices these statements; a table that the revision creates can be changed freely."""
    assert violations(written(lambda operations: operations.execute(statement))) == set()


def test_an_index_is_created_online():
    """The project's helper for indexes passes, and runs outside of a transaction."""
    sql = written(lambda _: online.create_index("i", "workflows", ["owner"], where="phase = 'served'"))
    assert violations(sql) == set()
    assert "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON workflows (owner) WHERE phase = 'served'" in sql
