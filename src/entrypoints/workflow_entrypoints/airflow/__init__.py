"""The part that runs in Airflow: the loader that its DAG files call, and the command that installs those files.

It runs in Airflow's environment, and never imports SQLAlchemy, the HTTP service or its container.
"""
