"""Object stores of installed packages: entry points of the group :data:`GROUP`, each named by the scheme of its URLs."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Final

from workflow_core.errors import ConfigurationError
from workflow_core.ports.storage import StoragePort

GROUP: Final = "workflow_core.storage"


def open_installed(scheme: str, url: str) -> StoragePort | None:
    """The store that an installed package opens for URLs of this scheme; None if no package provides one.

    The entry point names a callable that takes the URL as the operator wrote it and returns the adapter.

    Raises:
        ConfigurationError: several packages provide the scheme, or the adapter cannot be loaded.
    """
    found = tuple(entry_points(group=GROUP, name=scheme))
    if not found:
        return None
    values = sorted({point.value for point in found})
    if len(values) > 1:
        raise ConfigurationError(
            f"WORKFLOWS_STORAGE_URL: several installed packages provide {scheme}://: {', '.join(values)}; uninstall all but one"
        )
    try:
        storage = found[0].load()(url)
    except ConfigurationError:
        raise
    except Exception as error:  # of another project's code, which may raise anything; its text may quote the URL
        raise ConfigurationError(
            f"WORKFLOWS_STORAGE_URL: the adapter of {scheme}://, {values[0]}, cannot be opened: {type(error).__name__}"
        ) from error
    if not isinstance(storage, StoragePort):
        raise ConfigurationError(
            f"WORKFLOWS_STORAGE_URL: {values[0]} returned {type(storage).__name__}, which is not a StoragePort"
        )
    return storage
