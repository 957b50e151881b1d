"""Log lines for machines (``json``) or people (``console``): one line each that nobody can forge, without secrets.

Every module logs by :mod:`logging`. Here is decided, once in a process, what becomes of it. What a line belongs to, such as the id of the
request, is bound around the work by :func:`bound` and is on every line that is written meanwhile.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from workflow_entrypoints.observability.redaction import redactor, secrets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from workflow_entrypoints.settings import Settings

FIELDS: Final = "fields"
"""``_log.info("…", extra={FIELDS: {"status": 200}})``: fields of this line alone, for machines; the message says the same in words."""

MAX_MESSAGE: Final = 8_192
MAX_TRACEBACK: Final = 32_768
"""Characters that one line holds of each; of a traceback the end is what tells."""

_CHATTY: Final = ("httpx", "httpcore", "botocore", "boto3", "s3transfer", "urllib3", "alembic")
"""What these log below a warning may hold headers, and so secrets."""

_bound: ContextVar[Mapping[str, Any]] = ContextVar("log_fields", default={})  # noqa: B039 - it is never changed, only replaced


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Every line that is logged in the block has these fields, in handlers that run in threads, too."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def configure_logging(settings: Settings) -> None:
    """Write what is logged in this process to standard error, as the settings say."""
    formatter = JsonFormatter if settings.log_format == "json" else ConsoleFormatter
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(redactor([*settings.secrets(), *secrets_of(os.environ)])))
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _Formatter(logging.Formatter):
    """What both forms share. ``clean`` takes the secrets out of a text."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        super().__init__()
        self._clean = clean

    def _message(self, record: logging.LogRecord) -> str:
        return self._clean(record.getMessage())[:MAX_MESSAGE]

    def _traceback(self, record: logging.LogRecord) -> str:
        if not record.exc_info or record.exc_info[0] is None:
            return ""
        return self._clean(self.formatException(record.exc_info))[-MAX_TRACEBACK:]


class JsonFormatter(_Formatter):
    """A JSON object in ASCII on one line: ``time`` (UTC, RFC 3339), ``level``, ``logger``, ``message``, then what was bound."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": _time(record).replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": _logger(record.name),
            "message": self._message(record),
        }
        for name, value in {**_bound.get(), **getattr(record, FIELDS, {})}.items():
            line.setdefault(name, self._clean(value) if isinstance(value, str) else value)
        if traceback := self._traceback(record):
            line["traceback"] = traceback
        return json.dumps(line, ensure_ascii=True, default=str)


class ConsoleFormatter(_Formatter):
    """A line of text; a traceback follows with a mark in front of each of its lines."""

    def format(self, record: logging.LogRecord) -> str:
        """The line or lines."""
        told = "".join(f" {name}={_plain(str(value))}" for name, value in _bound.get().items())
        line = f"{_time(record)} {record.levelname} {_logger(record.name)}: {_plain(self._message(record))}{self._clean(told)}"
        return "\n  | ".join([line, *map(_plain, self._traceback(record).splitlines())])


def _logger(name: str) -> str:
    """Uvicorn calls the logger of its ordinary lines ``uvicorn.error``."""
    return "uvicorn" if name == "uvicorn.error" else name


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _plain(text: str) -> str:
    """Without what would end the line or steer a terminal."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
