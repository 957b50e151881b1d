"""A log of acquired leases and of the work under them, which verifies the guarantees of leases from outside.

Each process logs its leases, the duration of its work and its writes. The log alone shows whether two processes worked
on the same item at the same time, or whether a process wrote under a lease that another one had acquired. Each line is
one event; times are of the monotonic clock, which all processes of a machine share.
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

from tests.chaos.crash_points import READS
from workflow_core.domain.lease import MIRROR, Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from tests.chaos.crash_points import Points

STALL_SECONDS: Final = 45.0
"""Seconds for which a stalled worker sleeps in the middle of its work: 1.5 times the duration of a lease here, so that another
worker has taken over by then.
"""


class LeaseLog:
    """The events that the processes have logged, in a shared folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "held"
        self._sleep = folder / "sleep"

    def prepare(self) -> None:
        self._folder.mkdir()

    def request_stall(self, *, leader: bool) -> None:
        """Stall the next process before its next write under a lease; with ``leader``, the one that follows Airflow."""
        self._sleep.write_text(MIRROR if leader else "")

    def claim_stall(self, lease: Lease) -> bool:
        """Whether this process stalls now; the first one that asks does."""
        try:
            if self._sleep.read_text() in {"", lease.lease_key}:
                self._sleep.unlink()
                return True
        except FileNotFoundError:
            pass
        return False

    def is_stall_pending(self) -> bool:
        """Whether a requested stall has not happened yet."""
        return self._sleep.exists()

    def cancel_stall(self) -> None:
        """Cancel a requested stall."""
        self._sleep.unlink(missing_ok=True)

    def write(self, **event: object) -> None:
        with (self._folder / f"{os.getpid()}.jsonl").open(
            "a"
        ) as file:  # one write for each line, so that lines stay whole
            file.write(json.dumps(event) + "\n")

    def events(self) -> list[dict[str, Any]]:
        """All events, ordered by time."""
        lines = [line for path in self._folder.iterdir() for line in path.read_text().splitlines()]
        return sorted(map(json.loads, lines), key=lambda event: event["at"])

    def stills(self) -> int:
        """The number of stalls."""
        return sum(event["what"] == "stalled" for event in self.events())


class Witness:
    """Logs the leases and the writes under them, for all ports of a database; can switch off leases or their epochs."""

    def __init__(self, lease_log: LeaseLog, points: Points, *, leases: bool = True, epochs: bool = True) -> None:
        self.lease_log = lease_log
        self._points = points
        self.leases, self.epochs = leases, epochs
        self.under = threading.local()

    def port(self, port: Any) -> Any:
        """The port with logging."""
        return _WitnessedLeases(port, self) if hasattr(port, "acquire") else _Witnessed(port, self)

    def write(self, method: str, call: Callable[..., Any], *given: Any, **named: Any) -> Any:
        lease: Lease | None = getattr(self.under, "lease", None)
        if lease is None:
            return call(*given, **named)
        if not self.lease_log.claim_stall(lease):
            return self._noted(lease, method, call, *given, **named)
        with self._points.spared():  # otherwise few processes would live long enough to write late
            self.lease_log.write(what="stalled", subject=lease.lease_key, at=time.monotonic())
            time.sleep(STALL_SECONDS)
            return self._noted(lease, method, call, *given, **named)

    def _noted(self, lease: Lease, method: str, call: Callable[..., Any], *given: Any, **named: Any) -> Any:
        began = time.monotonic()
        done = call(*given, **named)
        self.lease_log.write(what="wrote", method=method, subject=lease.lease_key, epoch=lease.epoch, at=began)
        return done


class _Witnessed:
    """A port that logs its writes under leases."""

    def __init__(self, port: Any, witness: Witness) -> None:
        self._port = port
        self._witness = witness

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._port, method)
        return found if not callable(found) or method in READS else partial(self._witness.write, method, found)


class _WitnessedLeases(_Witnessed):
    """The port for leases, which logs each lease."""

    def acquire(self, lease_keys: Iterable[str], *, owner: str, at: datetime, until: datetime) -> Mapping[str, Lease]:
        if self._witness.leases:
            got: Mapping[str, Lease] = self._port.acquire(lease_keys, owner=owner, at=at, until=until)
        else:
            got = {key: Lease(lease_key=key, owner=owner, epoch=1, until=until) for key in lease_keys}
        for lease in got.values():
            self._witness.lease_log.write(
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
            self._witness.lease_log.write(what="began", **about, valid=valid, at=time.monotonic())
            try:
                yield
            finally:
                self._witness.lease_log.write(what="ended", **about, at=time.monotonic())
                self._witness.under.lease = before


@frozen(kw_only=True)
class _Work:
    began: float
    ended: float
    who: str = field(eq=False)


def broken_leases(events: Iterable[dict[str, Any]]) -> list[str]:
    """The violations of the guarantees of leases, each as a line of text."""
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
            # a killed process logs no end; a stalled process counts as working only while its lease is valid
            began = open_work.pop((subject, event["id"]))
            work[subject].append(_Work(began=began["at"], ended=min(event["at"], began["valid"]), who=event["id"]))
        elif event["what"] == "wrote" and any(
            at < event["at"] and epoch > event["epoch"] for at, epoch in claims[subject]
        ):
            found.append(
                f"{event['method']} was written for {subject} under a lease that another process had taken over"
            )
    for subject, done in work.items():
        for one, other in pairwise(sorted(done, key=lambda each: each.began)):
            if other.began < one.ended and one.who != other.who:
                found.append(f"two at a time worked on {subject}")
    return found
