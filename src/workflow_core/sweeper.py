"""What a worker does for the service: sweep, sync CODE workflows, and hand leadership over when it stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_core.usecases.commands.sync import sync_in_turn
from workflow_core.usecases.reconcile.code_sync import SyncCode
from workflow_core.usecases.reconcile.leases import release_leadership
from workflow_core.usecases.reconcile.sweep import sweep

if TYPE_CHECKING:
    from workflow_core.domain.caller import Caller
    from workflow_core.domain.code import SyncReport
    from workflow_core.usecases.context import Context
    from workflow_core.usecases.reconcile.sweep import SweepReport


class Sweeper:
    """The worker's side of a service. Programs that embed the service call :meth:`sweep` on a timer.

    Args:
        context: The ports and the configuration, such as those of a service: ``Sweeper(service.context)``.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def sweep(self, *, is_periodic: bool = True) -> SweepReport:
        """Make one pass over everything that is due.

        Args:
            is_periodic: Whether the next pass follows within seconds. Readers rely on the mirror only then.
        """
        return sweep(self._context, is_periodic=is_periodic)

    def sync_in_turn(self, *, caller: Caller) -> SyncReport | None:
        """Sync CODE workflows from the object store; None if another worker does."""
        return sync_in_turn(SyncCode(caller=caller), self._context)

    def release_leadership(self) -> None:
        """Release the leases that this process holds as leader. Call it when no further :meth:`sweep` comes."""
        release_leadership(self._context)
