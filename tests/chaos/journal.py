"""What the clients asked for, and what they were told."""

from __future__ import annotations

import json
from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING, Any

from attrs import asdict, field, frozen

if TYPE_CHECKING:
    from pathlib import Path


class Told(StrEnum):
    """What a client knows of an operation."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """4xx or 503: nothing was recorded, says the service."""
    UNKNOWN = "unknown"
    """The connection was lost before there was an answer."""


@frozen(kw_only=True)
class Entry:
    """One operation. ``token`` went along with it, where it has room for one, and is found again in whatever it caused."""

    token: str
    kind: str
    subject: str
    told: Told
    status: int | None = None
    answer: dict[str, Any] = field(factory=dict)
    at: float = 0.0


class Journal:
    """All of them, in the order in which they were answered."""

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
        """Keep it as lines of JSON, for those who look for what went wrong."""
        path.write_text("".join(f"{json.dumps(asdict(entry))}\n" for entry in self.entries()))

    def count(self, told: Told) -> int:
        return sum(entry.told is told for entry in self.entries())
