"""Scheduled dataset workflows on Apache Airflow: the core.

Embedding programs start here::

    from workflow_core.embedded import in_memory_service    # over the fakes
    from workflow_core.service import WorkflowService       # over any adapters
    from workflow_core.sweeper import Sweeper               # the worker of a service: call sweep() on a timer

Everything else of the public surface: the requests and answers in :mod:`workflow_core.api`, the entities in
:mod:`workflow_core.domain`, the ports in :mod:`workflow_core.ports`, the errors in :mod:`workflow_core.errors`, and, for those who
write an adapter, the contract suites in :mod:`workflow_core.testing`.
Nothing is imported here, so that a program pays for what it uses only.
"""

import logging

# A library leaves the handling of its log to the program; without this handler, Python would print its warnings.
logging.getLogger(__name__).addHandler(logging.NullHandler())
