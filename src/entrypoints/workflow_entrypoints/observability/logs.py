"""Log lines for machines (``json``) or people (``console``): one line per record that input cannot forge, without
secrets.

Every module logs through :mod:`logging`; this module configures it, once per process. :func:`bound` adds fields, such
as the id of the request, to every line that is logged in its block.
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
"""``_log.info("…", extra={FIELDS: {"status": 200}})``: fields of this line alone, for machines; the message says the
same in words.
"""

MAX_MESSAGE: Final = 8_192
MAX_TRACEBACK: Final = 32_768
"""Maximum characters of each in one line; of a traceback the end is kept."""

_CHATTY: Final = ("httpx", "httpcore", "botocore", "boto3", "s3transfer", "urllib3", "alembic")
"""Records of these below a warning may contain headers, and so secrets."""

_bound: ContextVar[Mapping[str, Any]] = ContextVar("log_fields", default={})  # noqa: B039 - it is never changed, only replaced


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Add fields to every line that is logged in the block, also by handlers that run in threads."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def configure_logging(settings: Settings) -> None:
    """Write the log records of this process to standard error, in the format and from the level of the settings."""
    formatter = JsonFormatter if settings.log_format == "json" else ConsoleFormatter
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(redactor([*settings.secrets(), *secrets_of(os.environ)])))
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _Formatter(logging.Formatter):
    """The common part of both formats. ``clean`` removes the secrets from a text."""

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
    """A JSON object in ASCII on one line: ``time`` (UTC, RFC 3339), ``level``, ``logger``, ``message``, then the bound
    fields.
    """

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
    """A line of text; a traceback follows with a mark at the start of each of its lines."""

    def format(self, record: logging.LogRecord) -> str:
        """The line or lines."""
        fields = "".join(f" {name}={_plain(str(value))}" for name, value in _bound.get().items())
        line = f"{_time(record)} {record.levelname} {_logger(record.name)}: {_plain(self._message(record))}{self._clean(fields)}"
        return "\n  | ".join([line, *map(_plain, self._traceback(record).splitlines())])


def _logger(name: str) -> str:
    """Return the name of the logger; Uvicorn names that of its ordinary lines ``uvicorn.error``."""
    return "uvicorn" if name == "uvicorn.error" else name


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _plain(text: str) -> str:
    """Escape the characters that would end the line or control a terminal."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
