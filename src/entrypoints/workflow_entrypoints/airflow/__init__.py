"""Airflow's side: the loader that its DAG files call, and the command that installs those files.

Runs in Airflow's own environment: never imports SQLAlchemy, the HTTP service or its container.
"""
