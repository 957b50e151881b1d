"""``WorkflowPort`` on PostgreSQL and SQLite, with SQLAlchemy Core.

::

    engine = make_engine("postgresql://…")
    upgrade(engine)                        # what `dli db upgrade` does
    workflows = SqlWorkflows(engine)
"""

from adapters.sql.engine import make_engine
from adapters.sql.migrations import HEAD, current_revision, upgrade
from adapters.sql.workflows import SqlWorkflows

__all__ = ["HEAD", "SqlWorkflows", "current_revision", "make_engine", "upgrade"]
