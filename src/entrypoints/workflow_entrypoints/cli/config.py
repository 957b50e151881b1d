"""``dli config …``: the effective configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from workflow_entrypoints.cli.commands import App
from workflow_entrypoints.cli.output import Format

if TYPE_CHECKING:
    from workflow_entrypoints.settings import Settings

app = App(help="Show the effective configuration.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Show the effective configuration."""


@app.command(asks=False)
def show(output: Annotated[Format, typer.Option("--output", "-o", help="Output format.")] = Format.TABLE) -> None:
    """Print every setting with its value and source.

    Secrets are hidden. A configuration that `dli serve` would refuse is refused.
    """
    from workflow_core.api.base import Answer
    from workflow_entrypoints.cli.output import print_answers, print_warnings
    from workflow_entrypoints.settings import described, load_settings
    from workflow_entrypoints.settings.unknown import unknown_variables

    class SettingAnswer(Answer):
        name: str
        value: Any
        source: str

    settings = load_settings()
    print_warnings(unknown_variables())
    _check(settings)
    rows = [SettingAnswer(name=name, value=value, source=source) for name, value, source in described(settings)]
    print_answers(rows, output, {"name": "NAME", "value": "VALUE", "source": "FROM"}, total=len(rows))


def _check(settings: Settings) -> None:
    """Raise :class:`ConfigurationError` for an address that no installed adapter accepts."""
    from contextlib import suppress

    from workflow_core.errors import ConfigurationError
    from workflow_entrypoints.airflow.settings import read_task

    read_task(settings.default_task, settings.policy.rules)
    with suppress(ModuleNotFoundError):
        from workflow_adapters.storage import open_storage

        open_storage(settings.storage)
    with suppress(ModuleNotFoundError):
        from workflow_adapters.sql import make_engine

        if settings.database_url.startswith("memory:"):
            return
        try:
            make_engine(settings.database_url).dispose()
        except ConfigurationError as error:
            raise ConfigurationError(f"WORKFLOWS_DATABASE_URL: {error.message}") from None
