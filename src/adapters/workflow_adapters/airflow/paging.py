"""Reads a list that changes in the meantime, without omitting rows.

Airflow's lists are paged by offset. They are requested in the order of the rows' id, which never changes: rows that are
added shift others towards later pages, where they are read again. Rows that are removed shift others *back*, to pages
that were already read. So each page begins with the last row of the one before: if that row is no longer there, reading
steps back until it meets a row that it has read. Every row before that one has also been read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

K = TypeVar("K", bound="Hashable")
Row = dict[str, Any]

PAGE: Final = 100
"""Rows per page: Airflow's maximum, unless ``[api] maximum_page_limit`` was raised."""


def read_all(
    page: Callable[[int], tuple[list[Row], int]], key: Callable[[Row], K], *, limit: int | None = None
) -> dict[K, Row] | None:
    """Return all rows by key, in order; None if there are more than ``limit``.

    Args:
        page: returns the rows from an offset on, and the total number.
        key: returns the identity of a row.
        limit: the largest useful number of rows.
    """
    by_key: dict[K, Row] = {}
    offset = 0
    while True:
        rows, total = page(offset)
        if limit is not None and total > limit:
            return None
        if offset > 0 and (not rows or key(rows[0]) not in by_key):
            offset = max(0, offset - PAGE)
            continue
        by_key.update({key(row): row for row in rows})
        if not rows or offset + len(rows) >= total:
            return by_key
        offset += max(1, len(rows) - 1)
