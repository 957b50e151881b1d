"""Settings of the object store."""

from __future__ import annotations

from workflow_entrypoints.settings.fields import SettingsGroup, setting


class StorageSettings(SettingsGroup):
    """Where the YAML files are, and how long the store may take."""

    s3_bucket: str = setting(
        "WORKFLOWS_S3_BUCKET", "data-workflows", "The bucket, unless WORKFLOWS_STORAGE_URL is set."
    )
    storage_url: str | None = setting(
        "WORKFLOWS_STORAGE_URL",
        None,
        "Where the YAML files are: `s3://bucket/prefix`, `file:///folder`, `memory://`, or the scheme of an installed"
        " adapter. Default: the bucket, prefix `workflows`."
        " S3 credentials, region and AWS_ENDPOINT_URL come from the environment as boto3 reads it.",
    )
    storage_connect_timeout: float = setting(
        "WORKFLOWS_STORAGE_CONNECT_TIMEOUT", 3.0, "Seconds to wait for a connection to S3.", gt=0, le=60
    )
    storage_read_timeout: float = setting(
        "WORKFLOWS_STORAGE_READ_TIMEOUT", 10.0, "Seconds to wait for the next bytes of its response.", gt=0, le=300
    )
    storage_attempts: int = setting(
        "WORKFLOWS_STORAGE_ATTEMPTS", 3, "Attempts of a request to S3, the first one included.", ge=1, le=10
    )

    @property
    def storage(self) -> str:
        """The storage URL in force."""
        return self.storage_url or f"s3://{self.s3_bucket}/workflows"
