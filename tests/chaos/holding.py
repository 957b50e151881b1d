"""Who worked on what, and when: what leases promise, seen without asking them.

Each process writes down what it claims, how long it then works on it, and what it has written meanwhile. Two of them at work on the same
thing at the same time, or something written by one whose thing somebody else has claimed since, is told by the lines alone. One line is
one event; moments are of the monotonic clock, which the processes of one machine share.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import defaultdict
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from tests.chaos.points import READS
from workflow_core.domain.lease import MIRROR, Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from tests.chaos.points import Points

STANDS_STILL: Final = 45.0
"""Seconds that a worker sleeps in the middle of its work, when it is told to: half as long again as a lease of the service's settings
here, so that somebody else has taken over by then.
"""


class Holdings:
    """What the processes have written down, in a folder that they share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "held"
        self._sleep = folder / "sleep"

    def prepare(self) -> None:
        self._folder.mkdir()

    def stand_still(self, *, leader: bool) -> None:
        """Whoever is about to write something under a lease (``leader``: under that of whoever follows Airflow) sleeps first."""
        self._sleep.write_text(MIRROR if leader else "")

    def may_sleep(self, lease: Lease) -> bool:
        """Whether it is this process that sleeps now; the first that asks does."""
        try:
            if self._sleep.read_text() in {"", lease.lease_key}:
                self._sleep.unlink()
                return True
        except FileNotFoundError:
            pass
        return False

    def is_told(self) -> bool:
        """Whether nobody has done so yet."""
        return self._sleep.exists()

    def go_on(self) -> None:
        """Nobody is to sleep any more."""
        self._sleep.unlink(missing_ok=True)

    def write(self, **event: object) -> None:
        with (self._folder / f"{os.getpid()}.jsonl").open("a") as file:  # one write of one line: whole
            file.write(json.dumps(event) + "\n")

    def events(self) -> list[dict[str, Any]]:
        """All of them, in the order of their moments."""
        lines = [line for path in self._folder.iterdir() for line in path.read_text().splitlines()]
        return sorted(map(json.loads, lines), key=lambda event: event["at"])

    def stills(self) -> int:
        """How often somebody stood still."""
        return sum(event["what"] == "stands still" for event in self.events())


class Witness:
    """Writes down the leases and the writes under them, of all ports of a database; can switch off leases, or their epochs."""

    def __init__(self, holdings: Holdings, points: Points, *, leases: bool = True, epochs: bool = True) -> None:
        self.holdings = holdings
        self._points = points
        self.leases, self.epochs = leases, epochs
        self.under = threading.local()

    def port(self, port: Any) -> Any:
        """A port of the database, witnessed."""
        return _WitnessedLeases(port, self) if hasattr(port, "acquire") else _Witnessed(port, self)

    def write(self, method: str, call: Callable[..., Any], *given: Any, **named: Any) -> Any:
        lease: Lease | None = getattr(self.under, "lease", None)
        if lease is None:
            return call(*given, **named)
        if not self.holdings.may_sleep(lease):
            return self._noted(lease, method, call, *given, **named)
        with self._points.spared():  # or hardly any process would live long enough to write too late
            self.holdings.write(what="stands still", subject=lease.lease_key, at=time.monotonic())
            time.sleep(STANDS_STILL)
            return self._noted(lease, method, call, *given, **named)

    def _noted(self, lease: Lease, method: str, call: Callable[..., Any], *given: Any, **named: Any) -> Any:
        began = time.monotonic()
        done = call(*given, **named)
        self.holdings.write(what="wrote", method=method, subject=lease.lease_key, epoch=lease.epoch, at=began)
        return done


class _Witnessed:
    """A port whose writes under leases are written down."""

    def __init__(self, port: Any, witness: Witness) -> None:
        self._port = port
        self._witness = witness

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._port, method)
        return found if not callable(found) or method in READS else partial(self._witness.write, method, found)


class _WitnessedLeases(_Witnessed):
    """The port for leases, each of which is written down."""

    def acquire(self, lease_keys: Iterable[str], *, owner: str, at: datetime, until: datetime) -> Mapping[str, Lease]:
        if self._witness.leases:
            got: Mapping[str, Lease] = self._port.acquire(lease_keys, owner=owner, at=at, until=until)
        else:
            got = {key: Lease(lease_key=key, owner=owner, epoch=1, until=until) for key in lease_keys}
        for lease in got.values():
            self._witness.holdings.write(
                what="claimed", subject=lease.lease_key, epoch=lease.epoch, at=time.monotonic()
            )
        return got

    def renew(self, lease: Lease, until: datetime) -> Lease:
        if not self._witness.leases:
            return lease
        renewed: Lease = self._port.renew(lease, until)
        return renewed

    def release(self, held: Iterable[Lease]) -> None:
        if self._witness.leases:
            self._port.release(held)

    @contextmanager
    def under(self, lease: Lease) -> Iterator[None]:
        before = getattr(self._witness.under, "lease", None)
        valid = time.monotonic() + lease.until.timestamp() - time.time()
        about = {
            "subject": lease.lease_key,
            "epoch": lease.epoch,
            "id": f"{os.getpid()} {threading.get_ident()} {valid}",
        }
        with self._port.under(lease) if self._witness.leases and self._witness.epochs else nullcontext():
            self._witness.under.lease = lease
            self._witness.holdings.write(what="began", **about, valid=valid, at=time.monotonic())
            try:
                yield
            finally:
                self._witness.holdings.write(what="ended", **about, at=time.monotonic())
                self._witness.under.lease = before


@frozen(kw_only=True)
class _Work:
    began: float
    ended: float
    who: str = field(eq=False)


def broken_leases(events: Iterable[dict[str, Any]]) -> list[str]:
    """What leases should have kept from happening, each in words."""
    claims: dict[str, list[tuple[float, int]]] = defaultdict(list)
    open_work: dict[tuple[str, str], dict[str, Any]] = {}
    work: dict[str, list[_Work]] = defaultdict(list)
    found = []
    for event in events:
        subject = event["subject"]
        if event["what"] == "claimed":
            claims[subject].append((event["at"], event["epoch"]))
        elif event["what"] == "began":
            open_work[subject, event["id"]] = event
        elif event["what"] == "ended":
            # who is killed does not end; who stands still is at work only as long as its lease is good
            began = open_work.pop((subject, event["id"]))
            work[subject].append(_Work(began=began["at"], ended=min(event["at"], began["valid"]), who=event["id"]))
        elif event["what"] == "wrote" and any(
            at < event["at"] and epoch > event["epoch"] for at, epoch in claims[subject]
        ):
            found.append(f"{event['method']} was written for {subject} under a lease that somebody else had taken over")
    for subject, done in work.items():
        for one, other in pairwise(sorted(done, key=lambda each: each.began)):
            if other.began < one.ended and one.who != other.who:
                found.append(f"two at a time worked on {subject}")
    return found
