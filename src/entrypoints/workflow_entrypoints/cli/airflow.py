"""``dli airflow …``: the loader files in Airflow's DAGs folder. Works also in Airflow's environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workflow_entrypoints.cli.commands import App

app = App(help="Install the loader files in Airflow.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Install the loader files in Airflow."""


@app.command(asks=False)
def install(
    dags_folder: Annotated[Path, typer.Option("--dags-folder", help="Airflow's DAGs folder.")],
    loaders: Annotated[
        int | None,
        typer.Option(min=1, max=99, help="Number of loader files; WORKFLOWS_LOADERS (8) by default."),
    ] = None,
    storage_url: Annotated[
        str | None,
        typer.Option("--storage-url", help="Where the YAML files are; WORKFLOWS_STORAGE_URL by default."),
    ] = None,
) -> None:
    """Write the loader files into Airflow's DAGs folder.

    Run it once: the files do not change when workflows are registered.

    Example: dli airflow install --dags-folder /opt/airflow/dags --storage-url s3://data-workflows/workflows
    """
    from workflow_entrypoints.airflow.install import install as write_files
    from workflow_entrypoints.airflow.settings import read_task
    from workflow_entrypoints.settings import load_settings

    settings = load_settings()
    if storage_url is None:
        storage_url = settings.storage
    files = write_files(
        dags_folder,
        loaders=settings.loaders if loaders is None else loaders,
        storage_url=storage_url,
        allowed_operators=settings.allowed_operators,
        allowed_callables=settings.allowed_callables,
        default_task=read_task(settings.default_task, settings.policy.rules),
        max_yaml_bytes=settings.max_yaml_bytes,
    )
    print(f"{len(files)} files in {dags_folder}, reading workflows from {storage_url}")
