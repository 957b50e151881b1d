"""A pytest plugin that runs a contract suite against many broken fakes, one after the other, each until its first failure.

The suite is collected once. Its class has the attributes ``kinds``, all the fakes, and ``kind``, the fake that its fixtures create.
``--part=1/4`` runs every fourth fake, starting with the first. ``--red`` names the file for the result: a JSON object with the name of
the first failed test of each fake, or null if none failed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from _pytest.runner import runtestprotocol

if TYPE_CHECKING:
    from collections.abc import Sequence


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    parser.addoption("--part", default="1/1")
    parser.addoption("--red", type=Path, required=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the suite against each fake of the part."""
    if session.testsfailed:
        return None  # the collection failed: pytest's loop reports the errors
    [suite] = {item.getparent(pytest.Class).cls for item in session.items}  # type: ignore[union-attr]
    part, parts = map(int, session.config.getoption("--part").split("/"))
    red: dict[str, str | None] = {}
    for kind in suite.kinds[part - 1 :: parts]:
        suite.kind = kind
        red[kind.__name__] = _first_failure(session.items)
    session.config.getoption("--red").write_text(json.dumps(red))
    return True


def _first_failure(items: Sequence[pytest.Item]) -> str | None:
    """Run the tests until one fails, and return its name, or None.

    Raises:
        RuntimeError: A fixture failed, which proves nothing about the fake.
    """
    for item, following in zip(items, [*items[1:], items[0]], strict=True):
        item._initrequest()  # type: ignore[attr-defined] # a repeated test starts with new fixtures
        failed = [report for report in runtestprotocol(item, log=False, nextitem=following) if report.failed]
        if any(report.when != "call" for report in failed):
            raise RuntimeError("\n".join(report.longreprtext for report in failed))
        if failed:
            return item.name.partition("[")[0]
    return None
