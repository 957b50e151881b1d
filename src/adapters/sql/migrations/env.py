"""Run by Alembic for every command, on the connection and in the transaction of :func:`adapters.sql.migrations.upgrade`."""

from alembic import context

from adapters.sql.tables import metadata, schema_version

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=schema_version,
    transactional_ddl=True,  # true of both databases; Alembic assumes the opposite of SQLite
)
with context.begin_transaction():
    context.run_migrations()
