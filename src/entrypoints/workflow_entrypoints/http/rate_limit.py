"""The rate limit: one token bucket for each caller, in this process."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CALLERS: Final = 10_000
"""Maximum number of buckets; the least recently used one is dropped first, and its caller starts with a full one."""


@frozen(kw_only=True)
class Count:
    """The state of a bucket after a request.

    Attributes:
        left: The requests that the caller may still send at once.
        wait: Seconds until one more request is admitted; 0.0 if this one was.
        full_in: Seconds until the bucket is full again.
    """

    left: int
    wait: float
    full_in: float


@define
class Rate:
    """Admits ``burst`` requests of a caller at once, and ``per_second`` a second in the long run.

    For one event loop.
    """

    per_second: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    _full_at: OrderedDict[str, float] = field(factory=OrderedDict, init=False)

    def count(self, caller: str) -> Count:
        """Count one request, unless the bucket is empty."""
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
        """The headers of draft-ietf-httpapi-ratelimit-headers-10, and ``Retry-After`` if the caller has to wait."""
        window = math.ceil(self.burst / self.per_second)
        headers = {
            "RateLimit-Policy": f'"caller";q={self.burst};w={window}',
            "RateLimit": f'"caller";r={count.left};t={math.ceil(count.full_in)}',
        }
        return headers if count.wait == 0.0 else headers | {"Retry-After": str(max(1, math.ceil(count.wait)))}
