"""Idempotent steps that bring the database, the object store and Airflow into agreement.

Five activities are distinguished (``docs/glossary.md``):

- *poll*: ask Airflow for the current state of one run (:mod:`.runs`) or one DAG (:mod:`.mirror`).
- *mirror*: copy all changes of runs, and page by page the list of DAGs, from Airflow into the database (:mod:`.mirror`,
  on top of ``follow_changes`` in :mod:`.runs`). One worker, the leader, does so in every sweep.
- *reconcile*: bring one item closer to its desired state: a workflow (:mod:`.workflow`, :mod:`.teardown`,
  :mod:`.drain`), a run (:mod:`.submit`, :mod:`.stop`, :mod:`.retry`) or a backfill (:mod:`.backfill`). The request does
  so for a short time, then the worker.
- *compare*: compare the three systems in full and repair drift that no record or event announced (:mod:`.compare`).
- *sweep*: one pass of the worker over everything that is due, which contains the other four (:mod:`.sweep`).

Poll and mirror read from Airflow; reconcile and compare change Airflow and the object store. :mod:`.code_sync` imports
CODE workflows and runs on a separate timer. :mod:`.leases` divides the work among processes, and :mod:`.housekeeping`
deletes expired records.
"""
