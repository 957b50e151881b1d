"""``WorkflowPort`` and ``TokenPort`` on PostgreSQL and SQLite, with SQLAlchemy Core.

::

    engine = make_engine("postgresql://…")
    upgrade(engine)                        # what `dli db upgrade` does
    workflows = SqlWorkflows(engine)
"""

from workflow_adapters.sql.engine import make_engine
from workflow_adapters.sql.migrations import HEAD, current_revision, upgrade
from workflow_adapters.sql.tokens import SqlTokens
from workflow_adapters.sql.workflows import SqlWorkflows

__all__ = ["HEAD", "SqlTokens", "SqlWorkflows", "current_revision", "make_engine", "upgrade"]
