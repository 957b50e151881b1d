"""``Database`` and ``TokenPort`` on PostgreSQL and SQLite, with SQLAlchemy Core.

::

    engine = make_engine("postgresql://…")
    upgrade(engine)                        # what `dli db upgrade` does
    database = SqlDatabase(engine)
"""

from workflow_adapters.sql.database import SqlDatabase
from workflow_adapters.sql.engine import make_engine
from workflow_adapters.sql.migrations import HEAD, current_revision, upgrade
from workflow_adapters.sql.tokens import SqlTokens

__all__ = ["HEAD", "SqlDatabase", "SqlTokens", "current_revision", "make_engine", "upgrade"]
