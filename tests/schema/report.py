"""What an exploration came to, as text."""

from __future__ import annotations

import platform
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.schema.explore import Explored


def table(explored: Explored) -> str:
    """A row for each operation."""
    lines = ["| Operation | Cases | 2xx | 4xx | 5xx | Statuses |", "|---|---:|---:|---:|---:|---|"]
    for name, counted in [*sorted(explored.statuses.items()), ("all", sum_of(explored))]:
        classes = [sum(count for status, count in counted.items() if status // 100 == one) for one in (2, 4, 5)]
        told = ", ".join(f"{status}: {count}" for status, count in sorted(counted.items()))
        lines.append(f"| {name} | {counted.total()} | {' | '.join(map(str, classes))} | {told} |")
    return "\n".join(lines)


def sum_of(explored: Explored) -> Counter[int]:
    """The statuses of all operations."""
    return sum(explored.statuses.values(), start=Counter())


def findings(explored: Explored) -> Iterator[str]:
    """Each kind, with the first request that showed it."""
    for kind, found in explored.findings.items():
        yield f"{kind}\n{found[0]}"


def page(explored: Explored, nobody: Explored) -> str:
    """``benchmarks/schema.md``."""
    return f"""\
# Requests made from the OpenAPI document

`make schema`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}. Schemathesis makes requests that the live document
of a `dli serve` on PostgreSQL (Airflow in its memory) allows, and requests with something wrong; most of them are about workflows, runs and
backfills that exist. No answer may be a 5xx, have a status, content type, header or body that the document does not have, or accept
what it forbids (`validateWorkflow` says so with 200, as it is there for). A method that the document does not have is 405.

{explored.cases} cases in {explored.seconds:.0f} s; {len(explored.findings)} kinds of answers that are not as the document says.

{table(explored)}

## Without credentials

The same, from somebody unknown: without a credential, with a token that nobody has, with a password, with the headers of a proxy.
Everything is 401 but for what answers everybody, and every table and file is afterwards as it was before:
{nobody.cases} cases in {nobody.seconds:.0f} s; {len(nobody.findings)} kinds of other answers or changes.

{table(nobody)}
"""
