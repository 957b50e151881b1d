"""What is logged, as a machine would read it."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workflow_entrypoints.observability.logs import JsonFormatter
from workflow_entrypoints.observability.redaction import redactor

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter(redactor([])))
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        assert "\n" not in text
        self.lines.append(json.loads(text))


@contextmanager
def logged(name: str, level: int = logging.INFO) -> Iterator[list[dict[str, Any]]]:
    """The lines of a logger, and of those below it."""
    logger, handler = logging.getLogger(name), _Lines()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
