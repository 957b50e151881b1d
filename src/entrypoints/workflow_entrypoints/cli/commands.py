"""The Typer classes of ``dli``: help texts, the option ``--server`` of each command, and errors that name options."""

from __future__ import annotations

import functools
import inspect
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from workflow_entrypoints.cli import extras
from workflow_entrypoints.cli.parameters import SERVER_OPTION, bare_name, option_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def use_server(context: typer.Context, server: str | None) -> None:
    """Use this server instead of the one that the environment names."""
    if server is None or context.resilient_parsing:
        return
    if not server.startswith(("http://", "https://")):  # an empty URL would select the service in this process
        from workflow_core.errors import InvalidRequest

        raise InvalidRequest("must be a URL like https://workflows.example.com", field="--server")
    os.environ["DLI_SERVER_URL"] = server
    context.meta[SERVER_OPTION] = True


Server = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", callback=use_server, help="Use this server instead of DLI_SERVER_URL."),
]


class Command(TyperCommand):
    """A command whose help shows plain names, and whose errors name its options."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is Typer's
        """``NAME`` if it is required, ``[NAME]`` if not."""
        return ["[OPTIONS]", *(_usage(param) for param in self.params if param.param_type_name == "argument")]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options under the names of the usage line, without Python types."""
        arguments, options = [], []
        param: Any
        for param in self.get_params(ctx):
            if param.param_type_name == "argument":
                arguments.append((_usage(param), param.help or ""))
                continue
            if param.metavar is None and not param.is_flag and not _choices(param):
                param.metavar = _metavar(param)
            if (record := param.get_help_record(ctx)) is not None:
                options.append((record[0].replace("<", "{").replace(">", "}"), record[1]))
        for title, rows in (("Arguments", arguments), ("Options", options)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002 - a line of its own is folded, not cut
        """The first line of the help, whole."""
        return summary(self.help or "")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; drop the prefix that a library adds to the message about a wrong value."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if isinstance(message := getattr(error, "message", None), str) and hasattr(error, "show"):
                error.message = message.removeprefix("Value error, ")  # type: ignore[attr-defined]
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command; its errors name the options of the command instead of the fields of the API."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            from workflow_core.errors import ConfigurationError

            if os.environ.get("DLI_DEBUG"):
                raise
            asks = any(param.name == "server" for param in self.params)
            raise ConfigurationError(extras.missing(error.name or "", asks=asks)) from None
        except Exception as error:
            from workflow_core.errors import WorkflowError

            if not isinstance(error, WorkflowError):
                raise
            from workflow_entrypoints.cli.wording import in_options

            raise in_options(error, ctx) from None


class Group(TyperGroup):
    """A group that lists its commands, including subgroups, in the order of their declaration."""

    order: Sequence[str] = ()

    def list_commands(self, ctx: Any) -> list[str]:
        """List the commands of ``order`` first."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: self.order.index(name) if name in self.order else len(self.order))

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002 - as above
        """The first line of the help, whole."""
        return summary(self.help or "")


class App(typer.Typer):
    """A Typer that declares :class:`Command`; a command that calls the API also accepts ``--server`` after its name."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"cls": Group, **settings})

    def command(self, name: str | None = None, *, asks: bool = True, **settings: Any) -> Callable[[Any], Any]:
        """Declare a command; ``asks``: it calls the API, on a server or in this process."""
        declare = super().command(name, cls=Command, **settings)

        def declared(function: Any) -> Any:
            declare(with_server(function) if asks else function)
            return function

        return declared


def with_server(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with the additional parameter ``--server``, which only Typer uses."""
    signature = inspect.signature(function, eval_str=True)
    server = inspect.Parameter("server", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Server)

    @functools.wraps(function)
    def asking(*arguments: Any, server: str | None = None, **values: Any) -> Any:  # noqa: ARG001 - its callback uses it
        return function(*arguments, **values)

    asking.__signature__ = signature.replace(parameters=[*signature.parameters.values(), server])  # type: ignore[attr-defined]
    asking.__annotations__ = {**inspect.get_annotations(function, eval_str=True), "server": Server}
    return asking


def summary(text: str) -> str:
    """The first sentence of a help text."""
    line = inspect.cleandoc(text).partition("\n")[0]
    return line.partition(". ")[0].rstrip(".") + "."


def _usage(param: Any) -> str:
    name = bare_name(param)
    return f"{name if param.required else f'[{name}]'}{'...' if param.nargs != 1 else ''}"


def _choices(param: Any) -> bool:
    described = getattr(param, "type_descriptor", None)
    return bool(described.is_choice if described is not None else getattr(param.type, "choices", None))


def _metavar(param: Any) -> str:
    return option_of(param).lstrip("-").replace("-", "_").upper()
