"""The one way in which the project puts a proxy in front of a port.

A proxy decides what happens around a call (retry it, measure it, pick the server's dialect); it does not repeat the
signatures of the port. A method that is added to a port therefore reaches the adapter through every proxy without an
edit.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

P = TypeVar("P")


def methods_of(port: type) -> frozenset[str]:
    """Return the names of the public methods that a port and its base protocols declare."""
    return frozenset(name for base in port.__mro__ for name in vars(base) if _is_method(base, name))


def delegating(port: type[P], call: Callable[..., Any], **own: Callable[..., Any]) -> P:
    """Return an implementation of a port that passes each call to one function.

    Args:
        port: the protocol to implement.
        call: called as ``call(name, *args, **kwargs)``, where ``name`` is the method of the port.
        own: methods, of the port or in addition to it, that bypass ``call``.
    """
    methods = {name: partial(call, name) for name in methods_of(port)} | own
    namespace = {name: staticmethod(method) for name, method in methods.items()}
    return cast("P", type(f"Delegating{port.__name__}", (), namespace)())


def _is_method(base: type, name: str) -> bool:
    return base.__module__ not in {"builtins", "typing"} and not name.startswith("_") and callable(vars(base)[name])
