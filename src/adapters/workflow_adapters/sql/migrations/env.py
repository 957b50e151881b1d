"""Run by Alembic for every command, on the connection of :func:`workflow_adapters.sql.migrations.upgrade`, or without one to write SQL."""

from alembic import context

from workflow_adapters.sql.tables import metadata, schema_version

connection = context.config.attributes["connection"]
name = "postgresql" if connection is None else connection.dialect.name
context.configure(
    connection=connection,
    dialect_name=name,
    target_metadata=metadata,
    version_table=schema_version,
    transactional_ddl=True,  # true of both databases; Alembic assumes the opposite of SQLite
    # On PostgreSQL a revision may leave its transaction, to make an index CONCURRENTLY; the lock of `upgrade` is around all of them.
    # On SQLite the transaction is the lock.
    transaction_per_migration=name == "postgresql",
    literal_binds=connection is None,
)
with context.begin_transaction():
    context.run_migrations()
