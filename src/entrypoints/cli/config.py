"""``dli config …``: what is in force."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from entrypoints.cli.output import Format

app = typer.Typer(help="The configuration.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The configuration."""


@app.command()
def show(output: Annotated[Format, typer.Option("--output", "-o", help="How to print it.")] = Format.TABLE) -> None:
    """Print every setting, where it comes from and its value; secrets are hidden."""
    from entrypoints.cli.output import print_answers
    from entrypoints.settings import described, load_settings
    from workflow_core.api.base import Answer

    class SettingAnswer(Answer):
        name: str
        value: Any
        source: str

    rows = [SettingAnswer(name=name, value=value, source=source) for name, value, source in described(load_settings())]
    print_answers(rows, output, {"name": "NAME", "value": "VALUE", "source": "FROM"}, total=len(rows))
