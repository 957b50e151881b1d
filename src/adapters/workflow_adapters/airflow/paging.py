"""Reading a list that changes while it is read, without leaving anything out.

Airflow's lists are paged by offset. The order asked for is the rows' own id, which never changes: rows that join while we read
shift others towards pages that are still to come, where they are met again. Rows that go away shift others *back*, past us. So each
page begins with the last row of the one before: if it is no longer there, we step back until we meet a row that we know. Every row
before a known one is known, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

K = TypeVar("K", bound="Hashable")
Row = dict[str, Any]

PAGE: Final = 100
"""Rows to ask for: what Airflow gives at most, unless ``[api] maximum_page_limit`` was raised."""


def read_all(
    page: Callable[[int], tuple[list[Row], int]], key: Callable[[Row], K], *, limit: int | None = None
) -> dict[K, Row] | None:
    """All rows by key, in order; None once more than ``limit`` are there.

    Args:
        page: the rows from an offset on, and how many there are in all.
        key: what tells rows apart.
        limit: the largest number of rows that is of use.
    """
    known: dict[K, Row] = {}
    offset = 0
    while True:
        rows, total = page(offset)
        if limit is not None and total > limit:
            return None
        if offset > 0 and (not rows or key(rows[0]) not in known):
            offset = max(0, offset - PAGE)
            continue
        known.update({key(row): row for row in rows})
        if not rows or offset + len(rows) >= total:
            return known
        offset += max(1, len(rows) - 1)
