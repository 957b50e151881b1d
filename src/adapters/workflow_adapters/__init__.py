"""The ports on real systems: SQLAlchemy, httpx, boto3, the file system."""
