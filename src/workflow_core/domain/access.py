"""What somebody may do: roles, where they are granted, and to whom."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import frozen


class Role(StrEnum):
    """What one may do; each role may do what those before it may."""

    VIEWER = "viewer"
    """Look."""
    OPERATOR = "operator"
    """Run, backfill, stop, pause, retry."""
    AUTHOR = "author"
    """Register, revise and unregister: the right to run code on Airflow's workers."""
    ADMIN = "admin"
    """Everything, among it the audit of everybody, syncs, and tokens."""


@frozen(kw_only=True)
class Grant:
    """A role, everywhere or only where a workflow is of this ``team`` and its dataset name matches ``names``.

    ``names`` is a pattern in which ``*`` stands for any text, such as ``iceberg.ads.*``. Both given: both must hold.
    """

    role: Role
    team: str | None = None
    names: str | None = None


@frozen(kw_only=True)
class Access:
    """What one caller may do: any of these grants. One may also operate the workflows that one owns by name, if ``owns`` says so."""

    grants: tuple[Grant, ...] = ()
    owns: bool = True


EVERYTHING: Final = Access(grants=(Grant(role=Role.ADMIN),))
"""Of whoever embeds the service, and of everybody while there is no authentication."""
