"""``dli airflow install``: the loader files in Airflow's DAGs folder, written once."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final

from entrypoints.airflow.settings import CONFIG_NAME, make_settings
from workflow_core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

_OURS: Final = re.compile(r"workflow_core_loader_\d\d\.py\Z")

# Constant but for two whole numbers: no text of any user is ever part of generated Python.
_TEXT: Final = '''\
"""Airflow DAGs of registered workflows. Written by `dli airflow install`; nothing here changes when workflows do."""

from pathlib import Path

from entrypoints.airflow.loader import load

load(globals(), index={index}, loaders={loaders}, config=Path(__file__).with_name("{config}"))
'''


def install(
    dags_folder: Path,
    *,
    storage_url: str,
    loaders: int = 8,
    **settings: Any,
) -> list[Path]:
    """Write the loader files and their settings; return all of them, those that were right already included.

    A second call with the same arguments changes nothing. Files of an earlier, larger number of loaders are removed; no other
    file is touched.

    Args:
        dags_folder: Airflow's DAGs folder, or a folder in it or in a DAG bundle.
        storage_url: where the YAML files are, as the service has it (``WORKFLOWS_STORAGE_URL``).
        loaders: how many files share the workflows; the service must be told the same (``WORKFLOWS_LOADERS``).
        settings: ``allowed_operators``, ``default_task``, ``max_yaml_bytes``, as in :func:`entrypoints.airflow.settings.make_settings`.

    Raises:
        ConfigurationError: the folder does not exist or cannot be written, or a setting is wrong.
    """
    if not 1 <= loaders <= 99:  # noqa: PLR2004 - two digits in the file's name
        raise ConfigurationError(f"loaders: {loaders} is out of range; 1 to 99 are allowed")
    if not dags_folder.is_dir():
        raise ConfigurationError(f"{dags_folder} is no folder. Give Airflow's DAGs folder with --dags-folder.")
    wanted = {dags_folder / CONFIG_NAME: make_settings(storage_url=storage_url, **settings).as_json()}
    for index in range(loaders):
        path = dags_folder / f"workflow_core_loader_{index:02d}.py"
        wanted[path] = _TEXT.format(index=index, loaders=loaders, config=CONFIG_NAME)
    try:
        for path, text in wanted.items():
            _write(path, text)
        for path in dags_folder.iterdir():
            if _OURS.match(path.name) and path not in wanted:
                path.unlink()
    except OSError as error:
        raise ConfigurationError(f"cannot write to {dags_folder}: {error.strerror}") from None
    return list(wanted)


def _write(path: Path, text: str) -> None:
    """Replace the file, whole or not at all; leave it alone, time of change included, if it says so already."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_text(text, encoding="utf-8")
    half.replace(path)
