"""Idempotent steps that bring the database, the object store and Airflow into agreement."""
