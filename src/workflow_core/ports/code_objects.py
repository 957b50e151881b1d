"""The port for CODE objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workflow_core.domain.code import CodeObject


@runtime_checkable
class CodeObjectPort(Protocol):
    """Stores the last seen state of every object below ``code/`` in the object store.

    :class:`~workflow_core.ports.database.Database` lists the rules that hold for every method.
    """

    def code_objects(self) -> Mapping[str, CodeObject]:
        """The records of all CODE objects, by dataset name."""
        ...

    def save_code_objects(self, changed: Iterable[CodeObject], removed: Iterable[CodeObject]) -> None:
        """Store the ``changed`` records with their next version, and delete the ``removed`` ones.

        Each change applies only if the stored record has the version that the caller read (0: no record). A record that another
        caller saved or deleted since then stays unchanged, because that caller has seen the same object or a later one.
        """
        ...
