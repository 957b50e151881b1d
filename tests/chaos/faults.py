"""The schedule of faults: a seed determines which fault hits which exchange, and when.

A seed determines the storms and, on each link, the sequence of faults. Which request meets which fault
depends on the interleaving of the processes.
"""

from __future__ import annotations

import time
from collections import Counter
from enum import StrEnum
from random import Random
from threading import Lock
from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Link(StrEnum):
    """A connection between the service and one other system."""

    AIRFLOW = "Airflow"
    STORE = "S3"
    DATABASE = "PostgreSQL"


class Fault(StrEnum):
    """What happens to one exchange."""

    RESET = "connection reset"
    """Before anything was delivered."""
    LOST = "response lost"
    """Delivered and answered; the connection is reset instead of the answer."""
    SLOW = "response delayed"
    """By up to :data:`SLOWEST` seconds: some callers have given up by then."""
    LATE = "request delayed"
    """Delivered up to :data:`SLOWEST` seconds later, even if the caller has given up by then."""
    ERROR = "5xx instead of delivery"
    ERROR_AFTER = "5xx instead of the response"
    GARBAGE = "garbage instead of the response"
    HALF = "half of the response"


SLOWEST: Final = 6.0
"""Seconds that an exchange is held up at most; longer than the total timeout that the harness gives to the service."""

OF_HTTP: Final = tuple(Fault)
OF_DATABASE: Final = (Fault.RESET, Fault.LOST, Fault.SLOW, Fault.LATE, Fault.GARBAGE, Fault.HALF)
"""There is no 5xx in PostgreSQL's protocol."""

_SHARE: Final[Mapping[Link, tuple[float, float]]] = {
    Link.AIRFLOW: (0.1, 0.5),
    Link.STORE: (0.2, 0.6),
    Link.DATABASE: (0.005, 0.04),  # of messages; one operation sends some dozens
}


@frozen(kw_only=True)
class Storm:
    """From ``begin`` to ``end`` (seconds), a ``share`` of a link's exchanges is hit by one of ``faults``."""

    link: Link
    begin: float
    end: float
    share: float
    faults: tuple[Fault, ...]


def storms(seed: int, seconds: float) -> Sequence[Storm]:
    """Storms of 3 to 12 s on each link, with 2 to 8 s of calm between them."""
    found: list[Storm] = []
    for link in Link:
        random = Random(f"{seed} {link}")
        kinds = OF_DATABASE if link is Link.DATABASE else OF_HTTP
        at = random.uniform(0, 5)
        while at < seconds:
            end = at + random.uniform(3, 12)
            faults = tuple(random.sample(kinds, random.randint(1, len(kinds))))
            found.append(Storm(link=link, begin=at, end=end, share=random.uniform(*_SHARE[link]), faults=faults))
            at = end + random.uniform(2, 8)
    return found


class Weather:
    """The progress of the schedule; there are no faults before :meth:`begin` and after :meth:`end`."""

    def __init__(self, seed: int, seconds: float) -> None:
        self._storms = storms(seed, seconds)
        self._random = {link: Random(f"{seed} {link} draws") for link in Link}
        self._lock = Lock()
        self._began: float | None = None
        self.met: Counter[tuple[Link, Fault]] = Counter()

    def begin(self) -> None:
        self._began = time.monotonic()

    def end(self) -> None:
        self._began = None

    def draw(self, link: Link) -> tuple[Fault | None, float]:
        """The fault for the next exchange, if any, and the length of a delay."""
        with self._lock:
            if self._began is None:
                return None, 0.0
            now = time.monotonic() - self._began
            storm = next((one for one in self._storms if one.link is link and one.begin <= now < one.end), None)
            random = self._random[link]
            if storm is None or random.random() >= storm.share:
                return None, 0.0
            fault = random.choice(storm.faults)
            self.met[link, fault] += 1
            return fault, random.uniform(0.2, SLOWEST)
