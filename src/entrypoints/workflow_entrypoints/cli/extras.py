"""The extra of this package that installs a missing module. Imports only the standard library."""

from __future__ import annotations

from typing import Final

_EXTRAS: Final = {
    **dict.fromkeys(("typer", "rich", "httpx"), "cli"),
    "opentelemetry": "otel",
    **dict.fromkeys(("airflow", "dagfactory"), "airflow"),
}
"""The extra for each top-level module; all other modules belong to the extra ``server``."""

_ASK = "To use a running service instead, set DLI_SERVER_URL or give --server URL."


def missing(module: str, *, asks: bool = False) -> str:
    """Return the message about a module that is not installed; ``asks``: the command could use a running service instead."""
    package = module.partition(".")[0]
    extra = _EXTRAS.get(package, "server")
    message = f"This command needs the package {package}, which the extra '{extra}' installs: {how_to_install(extra)}."
    return f"{message} {_ASK}" if asks and extra == "server" else message


def how_to_install(extra: str) -> str:
    """Return the install command; it never uses the bare name, because the distribution is in no package index."""
    return f"pip install '.[{extra}]' in a checkout, or pip install './dli_workflow-VERSION-py3-none-any.whl[{extra}]'"
