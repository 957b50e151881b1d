"""Without credentials nothing changes, and nothing is told: the same generated requests, from somebody whom the service does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.schema.explore import Explored, Explorer, refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.schema.served import Served

PRETENCES: Final[Mapping[str, Mapping[str, str]]] = {
    "no credential": {},
    "a token that nobody has": {"Authorization": f"Bearer dli_{'0' * 16}_{'0' * 64}"},
    "a user and a password": {"Authorization": "Basic YWRtaW46YWRtaW4="},
    "the headers of a proxy": {"X-Forwarded-User": "admin", "X-Remote-User": "admin", "X-Forwarded-For": "127.0.0.1"},
}
"""What somebody sends who is not known."""


def ask_as_nobody(served: Served, cases: int) -> Explored:
    """At least so many cases in all, about what exists; findings are answers other than 401, and whatever is changed."""
    found = Explored()
    explorers = [Explorer(served=served, headers=headers, explored=found) for headers in PRETENCES.values()]
    explorers[0].plant()
    before = served.facts()
    for number, (pretence, explorer) in enumerate(zip(PRETENCES, explorers, strict=True), 1):
        explorer.known = explorers[0].known
        began = found.seconds
        explorer.explore(cases * number // len(PRETENCES), refused, plants=False)
        found.seconds += began
        after = served.facts()
        for what, rows in after.items():
            if rows != before[what]:
                found.note(f"{pretence}: {what} changed", f"{set(rows) ^ set(before[what])}"[:2000])
    return found
