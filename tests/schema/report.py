"""The result of an exploration as text."""

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
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(counted.items()))
        lines.append(f"| {name} | {counted.total()} | {' | '.join(map(str, classes))} | {statuses} |")
    return "\n".join(lines)


def sum_of(explored: Explored) -> Counter[int]:
    """The statuses of all operations."""
    return sum(explored.statuses.values(), start=Counter())


def findings(explored: Explored) -> Iterator[str]:
    """Each kind of finding, with the first request that caused it."""
    for kind, found in explored.findings.items():
        yield f"{kind}\n{found[0]}"


def page(explored: Explored, unauthenticated: Explored) -> str:
    """``benchmarks/schema.md``."""
    return f"""\
# Requests made from the OpenAPI document

Written by `make schema`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}.
Schemathesis generates valid and invalid requests from the live document of a `dli serve` on PostgreSQL
(Airflow in its memory); most of them concern existing workflows, runs and backfills.
No response may be a 5xx, contain a status, content type, header or body that the document does not declare,
or accept what the document forbids (`validateWorkflow` reports it with 200, which is its purpose).
A method that the document does not declare must be 405.

{explored.cases} cases in {explored.seconds:.0f} s; {len(explored.findings)} kinds of responses that contradict the document.

{table(explored)}

## Without credentials

An unauthenticated caller sends the same requests: without a credential, with an unknown token, with a password,
with the headers of a proxy.
Every response is 401, except those of public routes, and no table or file changes:
{unauthenticated.cases} cases in {unauthenticated.seconds:.0f} s; {len(unauthenticated.findings)} kinds of other responses or changes.

{table(unauthenticated)}
"""
