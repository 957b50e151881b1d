"""Write the example's click log, ``data/clicks.log``: the same bytes at every call.

One event a line, six fields with a tab between them: time (UTC), event id, user, page, region, dwell time in milliseconds. About one line in forty is
dirty, in the ways in which real logs are.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04")
LINES_PER_DAY = 9_000
PAGES = ("/home", "/search", "/cart", "/checkout", "/help", "/blog")
REGIONS = ("US", "EU", "APAC")
SEED = 20260101


def lines() -> list[str]:
    """All lines of the log, in the order in which the events arrived."""
    chance = random.Random(SEED)
    written: list[str] = []
    for day in DAYS:
        midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
        for number in range(LINES_PER_DAY):
            at = midnight + timedelta(seconds=number * 86_400 / LINES_PER_DAY)
            event = [
                f"{at:%Y-%m-%dT%H:%M:%SZ}",
                f"e{day[-2:]}{number:05d}",
                f"u{chance.randrange(1500):04d}",
                chance.choices(PAGES, weights=(30, 25, 12, 6, 4, 9))[0],
                chance.choices(REGIONS, weights=(5, 3, 2))[0],
                str(int(chance.expovariate(1 / 4000)) + 50),
            ]
            written.append(_dirty(event, chance, written) if chance.random() < 1 / 40 else "\t".join(event))
    return written


def _dirty(event: list[str], chance: random.Random, written: list[str]) -> str:
    """The event as a broken client, a retrying sender or a cut connection would have written it."""
    kind = chance.randrange(6)
    if kind == 0:
        return "\t".join(event[:3])  # cut off
    if kind == 1:
        event[0] = event[0].replace("2026-", "2026-13-")  # no such time
    elif kind == 2:
        event[2] = ""  # no user
    elif kind == 3:
        event[4] = "??"  # no such region
    elif kind == 4:
        event[5] = f"-{event[5]}"  # a clock that went back
    elif written:
        return written[-1]  # sent twice
    return "\t".join(event)


if __name__ == "__main__":
    target = Path(__file__).parent / "data" / "clicks.log"
    target.parent.mkdir(exist_ok=True)
    target.write_text("".join(f"{line}\n" for line in lines()), encoding="utf-8")
