"""Every setting: its environment variable, its key in the YAML file, its default.

The environment takes precedence over the YAML file named by ``WORKFLOWS_CONFIG``, and the file over the default. The
key in the file follows from the name of the variable: the words of its path, joined by ``_`` in upper case, so that
``workflows: {s3: {bucket: x}}`` and ``airflow: {base-url: y}`` are ``WORKFLOWS_S3_BUCKET`` and ``AIRFLOW_BASE_URL``
(specification, section 10).
"""

from workflow_entrypoints.settings.auth import AuthKind
from workflow_entrypoints.settings.model import NAMES, Settings
from workflow_entrypoints.settings.parsing import CONFIG_VARIABLE, described, load_settings

__all__ = ["CONFIG_VARIABLE", "NAMES", "AuthKind", "Settings", "described", "load_settings"]
