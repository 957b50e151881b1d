"""How the outside comes in: HTTP, the command line, the worker, and Airflow's DAG files."""
