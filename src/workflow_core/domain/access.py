"""Access: roles, and the workflows for which they are granted."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import frozen


class Role(StrEnum):
    """A set of permissions; each role includes those before it."""

    VIEWER = "viewer"
    """View."""
    OPERATOR = "operator"
    """Run, backfill, stop, pause, retry."""
    AUTHOR = "author"
    """Register, revise and unregister: the right to run code on Airflow's workers."""
    ADMIN = "admin"
    """All actions, including the audit of all callers, syncs, and tokens."""


@frozen(kw_only=True)
class Grant:
    """A role for all workflows, or only for those of ``team`` whose dataset name matches ``names``.

    ``names`` is a pattern in which ``*`` stands for any text, such as ``iceberg.ads.*``. If both are given, both must match.
    """

    role: Role
    team: str | None = None
    names: str | None = None


@frozen(kw_only=True)
class Access:
    """The permissions of one caller: the union of its grants and, if ``owns``, to operate the workflows that it owns."""

    grants: tuple[Grant, ...] = ()
    owns: bool = True


EVERYTHING: Final = Access(grants=(Grant(role=Role.ADMIN),))
"""The access of a program that embeds the service, and of every caller while authentication is off."""
