"""A pytest plugin: of a class of which one test has failed, no more are run. That is all that a broken fake has to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

_red: set[type] = set()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: Any) -> None:
    """Pass over the tests of a class that is red."""
    if item.cls in _red:
        pytest.skip("red already")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any) -> Generator[None, Any, Any]:
    """Notice failures."""
    report = yield
    if report.failed:
        _red.add(item.cls)
    return report
