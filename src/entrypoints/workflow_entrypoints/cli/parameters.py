"""The parameters of a command as a user types them."""

from __future__ import annotations

from typing import Any, Final

SERVER_OPTION: Final = "dli.server-option"
"""The key in a context's ``meta`` that is set where ``--server`` was given."""


def option_of(param: Any) -> str:
    """Return what a user types for a parameter: its long option, or the name of the argument."""
    if param.param_type_name == "argument":
        return bare_name(param)
    return str(next((name for name in param.opts if name.startswith("--")), param.opts[0]))


def bare_name(param: Any) -> str:
    """Return the name of an argument without the marks of an optional or repeated one."""
    return str(param.metavar or param.name.upper()).removesuffix("...").strip("[]")
