"""The exploration without valid credentials, which must change nothing and disclose nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.schema.explore import Explored, Explorer, refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.schema.served import Served

FALSE_CREDENTIALS: Final[Mapping[str, Mapping[str, str]]] = {
    "no credential": {},
    "an unknown token": {"Authorization": f"Bearer dli_{'0' * 16}_{'0' * 64}"},
    "a user and a password": {"Authorization": "Basic YWRtaW46YWRtaW4="},
    "the headers of a proxy": {"X-Forwarded-User": "admin", "X-Remote-User": "admin", "X-Forwarded-For": "127.0.0.1"},
}
"""The headers of unauthenticated clients."""


def explore_unauthenticated(served: Served, cases: int) -> Explored:
    """Send at least ``cases`` requests for existing resources; findings are responses other than 401, and all changes."""
    found = Explored()
    explorers = [Explorer(served=served, headers=headers, explored=found) for headers in FALSE_CREDENTIALS.values()]
    explorers[0].plant()
    before = served.facts()
    for number, (kind, explorer) in enumerate(zip(FALSE_CREDENTIALS, explorers, strict=True), 1):
        explorer.known = explorers[0].known
        began = found.seconds
        explorer.explore(cases * number // len(FALSE_CREDENTIALS), refused, plants=False)
        found.seconds += began
        after = served.facts()
        for what, rows in after.items():
            if rows != before[what]:
                found.note(f"{kind}: {what} changed", f"{set(rows) ^ set(before[what])}"[:2000])
    return found
