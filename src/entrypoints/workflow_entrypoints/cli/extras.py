"""Which extra of this package brings what is missing. Imports nothing that may be missing itself."""

from __future__ import annotations

from typing import Final

_EXTRAS: Final = {
    **dict.fromkeys(("typer", "rich", "httpx"), "cli"),
    "opentelemetry": "otel",
    **dict.fromkeys(("airflow", "dagfactory"), "airflow"),
}
"""By the top-level module; every other one is of the extra ``server``."""

_ASK = "To use a running service instead, set DLI_SERVER_URL or give --server URL."


def missing(module: str, *, asks: bool = False) -> str:
    """The message for a module that is not installed; ``asks``: the command could ask a service for it."""
    package = module.partition(".")[0]
    extra = _EXTRAS.get(package, "server")
    told = f"This command needs the package {package}, which the extra '{extra}' installs: {how_to_install(extra)}."
    return f"{told} {_ASK}" if asks and extra == "server" else told


def how_to_install(extra: str) -> str:
    """The command; this distribution's name alone would install another project from the public index."""
    return f"pip install '.[{extra}]' in a checkout, or pip install './dli_workflow-VERSION-py3-none-any.whl[{extra}]'"
