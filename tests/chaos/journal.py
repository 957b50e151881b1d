"""The requests of the clients and their outcomes."""

from __future__ import annotations

import json
from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING, Any

from attrs import asdict, field, frozen

if TYPE_CHECKING:
    from pathlib import Path


class Outcome(StrEnum):
    """A client's knowledge of the outcome of an operation."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """4xx or 503: the service reports that nothing was recorded."""
    UNKNOWN = "unknown"
    """The connection was lost before a response arrived."""


@frozen(kw_only=True)
class Entry:
    """One operation. Requests with a text field carry ``token``, which identifies their effects."""

    token: str
    kind: str
    subject: str
    outcome: Outcome
    status: int | None = None
    answer: dict[str, Any] = field(factory=dict)
    at: float = 0.0


class Journal:
    """All operations, in the order of their responses."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: list[Entry] = []

    def add(self, entry: Entry) -> None:
        with self._lock:
            self._entries.append(entry)

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self, *kinds: str) -> list[Entry]:
        with self._lock:
            return [entry for entry in self._entries if not kinds or entry.kind in kinds]

    def write(self, path: Path) -> None:
        """Write the entries as lines of JSON, for diagnosis."""
        path.write_text("".join(f"{json.dumps(asdict(entry))}\n" for entry in self.entries()))

    def count(self, outcome: Outcome) -> int:
        return sum(entry.outcome is outcome for entry in self.entries())
