"""``dli airflow install``: the loader files in Airflow's DAGs folder, written once."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final

from workflow_adapters.storage import open_storage
from workflow_core.domain.spec import DEFAULT_CALLABLES, DEFAULT_OPERATORS, SpecRules
from workflow_core.errors import ConfigurationError
from workflow_entrypoints.airflow.settings import CONFIG_NAME, make_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_OURS: Final = re.compile(r"workflow_core_loader_\d\d\.py\Z")

# Constant but for two whole numbers: no text of any user is ever part of generated Python.
_TEXT: Final = '''\
"""Airflow DAGs of registered workflows. Written by `dli airflow install`; nothing here changes when workflows do."""

from pathlib import Path

from workflow_entrypoints.airflow.loader import load

load(globals(), index={index}, loaders={loaders}, config=Path(__file__).with_name("{config}"))
'''


def install(  # noqa: PLR0913 - the settings of the installation, one by one
    dags_folder: Path,
    *,
    storage_url: str,
    loaders: int = 8,
    cache_dir: Path | None = None,
    allowed_operators: Sequence[str] = DEFAULT_OPERATORS,
    allowed_callables: Sequence[str] = DEFAULT_CALLABLES,
    default_task: Mapping[str, Any] | None = None,
    max_yaml_bytes: int = SpecRules().max_bytes,
) -> list[Path]:
    """Write the loader files and their settings; return the paths of all of them, unchanged ones included.

    A second call with the same arguments changes nothing. Files of an earlier, larger number of loaders are removed; no
    other file is touched.

    Args:
        dags_folder: Airflow's DAGs folder, or a folder in it or in a DAG bundle.
        storage_url: where the YAML files are, as in the service (``WORKFLOWS_STORAGE_URL``).
        loaders: number of files that share the workflows; the service must have the same setting
            (``WORKFLOWS_LOADERS``).
        cache_dir: where each host caches specs; ``workflow_core_cache`` in Airflow's home if None.
        allowed_operators: patterns of the operator classes that specs may use.
        allowed_callables: patterns of the functions that ``python_callable`` may name.
        default_task: operator and arguments of the task of a workflow without tasks; None for a task that does nothing.
        max_yaml_bytes: the largest spec that is read.

    Raises:
        ConfigurationError: the folder does not exist or cannot be written, or a setting is wrong.
    """
    if not 1 <= loaders <= 99:  # noqa: PLR2004 - two digits in the file's name
        raise ConfigurationError(f"loaders: {loaders} is out of range; 1 to 99 are allowed")
    if not dags_folder.is_dir():
        raise ConfigurationError(f"{dags_folder} is not a folder. Give Airflow's DAGs folder with --dags-folder.")
    _check_storage(storage_url)
    settings = make_settings(
        storage_url=storage_url,
        cache=str(cache_dir) if cache_dir else None,
        allowed_operators=list(allowed_operators),
        allowed_callables=list(allowed_callables),
        default_task=default_task,
        max_yaml_bytes=max_yaml_bytes,
    )
    files = {dags_folder / CONFIG_NAME: settings.as_json(cache=cache_dir)}
    for index in range(loaders):
        path = dags_folder / f"workflow_core_loader_{index:02d}.py"
        files[path] = _TEXT.format(index=index, loaders=loaders, config=CONFIG_NAME)
    try:
        for path, text in files.items():
            _write(path, text.encode())
        for path in dags_folder.iterdir():
            if _OURS.match(path.name) and path not in files:
                path.unlink()
    except OSError as error:
        raise ConfigurationError(f"cannot write to {dags_folder}: {error.strerror}") from None
    return list(files)


def _check_storage(url: str) -> None:
    """Raise :class:`ConfigurationError` for a URL that the loader could not read from in another process."""
    open_storage(url)
    if url.startswith("memory:"):
        raise ConfigurationError(
            f"The storage URL {url} is the memory of one process, which Airflow cannot read; write s3://bucket/prefix or file:///folder"
        )


def _write(path: Path, data: bytes) -> None:
    """Replace the file atomically; leave it untouched, modification time included, if its content is the same."""
    if path.is_file() and path.read_bytes() == data:
        return
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_bytes(data)
        half.replace(path)
    except OSError:
        half.unlink(missing_ok=True)
        raise
