"""Real servers on loopback for development, tests and benchmarks: Airflow, PostgreSQL and an S3 endpoint.

Not shipped. Each server is a context manager that picks free ports, is ready when ``with`` enters its block, and is
gone, children and ports included, when the block ends or when the program that started it dies, however it dies.

===================  ==========================================================================
``devstack.ports``    free and listening TCP ports
``devstack.process``  one supervised command, its log file, its certain end
``devstack.guard``    the small program between us and each command that makes the end certain
``devstack.airflow``  ``LocalAirflow``
``devstack.postgres`` ``LocalPostgres``
``devstack.s3``       ``LocalS3``
===================  ==========================================================================
"""
