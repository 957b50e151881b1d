"""Standard streams in any state: closed, full, a pipe without a reader, or with an encoding that lacks characters."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STDIN, _STDOUT, _STDERR = 0, 1, 2


class OutputLost(Exception):
    """Standard output cannot be written. Not an ``OSError``, because Typer and rich handle those differently."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"cannot write to standard output: {cause.strerror}")
        self.reader_left = cause.errno == errno.EPIPE


class _Output(io.FileIO):
    """A descriptor that reports its first failure once and drops later writes, so that the exit is quiet."""

    def __init__(self, number: int, *, reports: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._reports, self._lost = reports, False

    def write(self, data: ReadableBuffer, /) -> int:
        size = memoryview(data).nbytes
        if self._lost:
            return size
        try:
            while (written := super().write(data)) is None:  # a non-blocking pipe that is full
                select.select([], [self], [])
        except OSError as error:
            self._lost = True
            if self._reports:
                raise OutputLost(error) from error
            return size
        return written


def prepare() -> None:
    """Make the three streams usable in any state. Characters that an encoding lacks are escaped."""
    _reserve()
    if sys.stdin is None:
        sys.stdin = open(_STDIN, encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor
    if sys.stdout is sys.__stdout__:  # not captured by a test, and not the stream of a program that embeds `dli`
        sys.stdout = _opened(sys.stdout, _STDOUT, reports=True)
    if sys.stderr is sys.__stderr__:  # an error message has no other destination
        sys.stderr = _opened(sys.stderr, _STDERR, reports=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Flush standard output.

    Raises:
        OutputLost: standard output cannot be written.
    """
    sys.stdout.flush()


def is_unicode(stream: TextIO) -> bool:
    """Whether the stream can encode every character."""
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "").startswith("utf")


def _reserve() -> None:
    """Occupy the numbers of closed streams, as GNU's programs do: otherwise a message could overwrite a database that got the number.

    The null device is opened in the opposite direction, so that each use fails as on a closed stream.
    """
    for number in (_STDIN, _STDOUT, _STDERR):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_WRONLY if number == _STDIN else os.O_RDONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)


def _opened(stream: TextIO | None, number: int, *, reports: bool) -> TextIO:
    """Return the stream over a descriptor that reports its failures as :class:`OutputLost`."""
    if stream is not None:
        with suppress(OSError):
            stream.flush()
    encoding = "utf-8" if stream is None else stream.encoding
    raw = _Output(number, reports=reports)
    line_by_line: Final = number == _STDERR or raw.isatty()
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, line_buffering=line_by_line)
