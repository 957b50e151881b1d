"""``dli airflow …``: Airflow's side. Works in Airflow's own environment, too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Airflow's side.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Airflow's side."""


@app.command()
def install(
    dags_folder: Annotated[Path, typer.Option("--dags-folder", help="Airflow's DAGs folder.")],
    loaders: Annotated[
        int | None,
        typer.Option(
            min=1, max=99, help="How many loader files share the workflows; WORKFLOWS_LOADERS, 8, by default."
        ),
    ] = None,
    storage_url: Annotated[
        str | None,
        typer.Option("--storage-url", help="Where the YAML files are; as the service's settings say, by default."),
    ] = None,
) -> None:
    """Write the loader files into Airflow's DAGs folder, once; nothing there changes when workflows do.

    Example: dli airflow install --dags-folder /opt/airflow/dags --storage-url s3://data-workflows/workflows
    """
    from entrypoints.airflow.install import install as write_files
    from entrypoints.settings import load_settings

    settings = load_settings()
    files = write_files(
        dags_folder,
        loaders=settings.loaders if loaders is None else loaders,
        storage_url=storage_url or settings.storage,
        allowed_operators=settings.allowed_operators,
        allowed_callables=settings.allowed_callables,
        default_task=_task(settings.default_task),
        max_yaml_bytes=settings.max_yaml_bytes,
    )
    typer.echo(f"{len(files)} files in {dags_folder}, reading workflows from {storage_url or settings.storage}")


def _task(text: str | None) -> dict[str, Any] | None:
    """The task that WORKFLOWS_DEFAULT_TASK describes."""
    import json

    from workflow_core.errors import ConfigurationError

    try:
        task = json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"WORKFLOWS_DEFAULT_TASK is not JSON: {error}") from None
    if task is not None and not isinstance(task, dict):
        raise ConfigurationError("WORKFLOWS_DEFAULT_TASK must be a JSON object: one task")
    return task
