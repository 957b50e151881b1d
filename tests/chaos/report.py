"""The result of a run: a table for the terminal, and the page in the repository."""

from __future__ import annotations

import platform
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.chaos.crash_points import OPERATIONS, operation_of
from tests.chaos.harness import SETTLES_WITHIN
from tests.chaos.journal import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.chaos.harness import Result


def table(result: Result) -> str:
    """The counts, as a table in Markdown."""
    journal, verdict = result.journal, result.verdict
    settled = "not" if result.settled_after is None else f"{result.settled_after:.0f} s after the last fault"
    rows = [
        ("operations", len(journal.entries()), ""),
        ("accepted", journal.count(Outcome.ACCEPTED), ""),
        ("refused", journal.count(Outcome.REFUSED), ""),
        ("without a response", journal.count(Outcome.UNKNOWN), ""),
        ("processes killed", result.kills, ""),
        ("of them at a crash point", len(result.died), ""),
        ("crash points found without faults", len(result.in_calm), ""),
        ("of them reached again, without a crash", len(result.missed), "0" if result.plan.every_point else ""),
        ("of them never reached again", len(result.in_calm - result.came_again), ""),
        ("further crash points found under faults", len(set(result.points) - result.in_calm), ""),
        ("of them without a crash", len(set(result.points) - result.in_calm - set(result.died)), ""),
        ("faults on the network", sum(result.weather.met.values()), ""),
        ("restarts of PostgreSQL", result.restarts, ""),
        ("times that a worker stalled for longer than its lease", result.stills, ""),
        ("settled", settled, f"{SETTLES_WITHIN:.0f} s"),
        ("**lost**", len(verdict.lost), "0"),
        ("**done twice**", len(verdict.doubled), "0"),
        ("**left unsettled**", len(verdict.unsettled), "0"),
        ("**false answers**", len(verdict.lied), "0"),
    ]
    return _table(("", "counted", "required"), rows)


def page(results: Sequence[tuple[str, Result]]) -> str:
    """``benchmarks/chaos.md`` or one of its variants."""
    return "\n".join(_page(results)) + "\n"


def _page(results: Sequence[tuple[str, Result]]) -> Iterator[str]:
    yield "# Chaos"
    yield ""
    yield "Written by `make chaos`."
    yield "`docs/adr/0023-chaos-test.md` describes the test and the counts."
    yield ""
    yield f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}."
    for title, result in results:
        yield from ("", f"## {title}, seed {result.plan.seed}", "")
        yield f"{result.chaos_seconds:.0f} s of chaos."
        yield from ("", table(result), "")
        journal = result.journal
        kinds = sorted({entry.kind for entry in journal.entries()} - {"publish", "withdraw"})
        counts = [
            (kind, *(sum(one.outcome is outcome for one in journal.entries(kind)) for outcome in Outcome))
            for kind in kinds
        ]
        yield from (_table(("operation", "accepted", "refused", "without a response"), counts), "")
        met, died = (Counter(map(operation_of, points)) for points in (result.points, set(result.died)))
        yield from (
            _table(("operation", "crash points", "crashed at"), [(o, met[o], died[o]) for o in sorted(OPERATIONS)]),
            "",
        )
        faults = sorted((link, fault, number) for (link, fault), number in result.weather.met.items())
        yield _table(("link", "fault", "count"), faults)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
