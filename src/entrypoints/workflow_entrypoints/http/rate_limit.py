"""How often one caller may ask: a token bucket for each, in this process."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CALLERS: Final = 10_000
"""Callers of whom it is remembered how often they asked; whoever asked longest ago is forgotten first, and begins anew."""


@frozen(kw_only=True)
class Count:
    """What a caller may still ask. ``wait``: seconds until there is room for one more request, 0.0 where there was; ``full_in``: until
    there is room for all of them again.
    """

    left: int
    wait: float
    full_in: float


@define
class Rate:
    """Lets a caller ask ``burst`` times at once, and ``per_second`` times a second in the long run. For one event loop."""

    per_second: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    _full_at: OrderedDict[str, float] = field(factory=OrderedDict, init=False)

    def count(self, caller: str) -> Count:
        """Count one request, unless there is no room for it."""
        now, each = self.clock(), 1 / self.per_second
        full_at = max(self._full_at.pop(caller, now), now) + each
        room = now + self.burst * each
        wait = max(0.0, full_at - room)
        if wait > 0.0:
            full_at -= each
        self._full_at[caller] = full_at
        if len(self._full_at) > CALLERS:
            self._full_at.popitem(last=False)
        left = math.floor((room - full_at) / each + 1e-6)
        return Count(left=left, wait=wait, full_in=full_at - now)

    def headers(self, count: Count) -> Mapping[str, str]:
        """``RateLimit`` and ``RateLimit-Policy`` (draft-ietf-httpapi-ratelimit-headers-10), and ``Retry-After`` for who has to wait."""
        window = math.ceil(self.burst / self.per_second)
        found = {
            "RateLimit-Policy": f'"caller";q={self.burst};w={window}',
            "RateLimit": f'"caller";r={count.left};t={math.ceil(count.full_in)}',
        }
        return found if count.wait == 0.0 else found | {"Retry-After": str(max(1, math.ceil(count.wait)))}
