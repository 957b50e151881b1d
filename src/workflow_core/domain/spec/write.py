"""Write plain data as YAML that readers of versions 1.1 and 1.2 interpret equally.

A text that either of them resolves to another type (``NO``, ``on``, ``12:30:45``, ``1_000``, ``0o10``, ``=``, ``<<``) is quoted.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_WORD: Final = re.compile(r"[A-Za-z_/][^\[\]{},#&*!|>'\"%`\\?]*")
"""Texts that need no quotes, in braces and in blocks; other first characters begin numbers, dates and indicators."""
_RESOLVED: Final = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))
"""Words that version 1.1 or 1.2 reads as another type, in any case of letters."""
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_EXPONENT: Final = re.compile(r"^(-?[0-9]+)e")
_LONGEST_KEY: Final = 1000
"""Characters of a key that need no ``?`` before it; readers accept 1,024."""


class _Ascii(str):
    """A text whose characters beyond ASCII are written as escapes."""

    __slots__ = ()


def in_ascii(value: Any) -> Any:
    """Return the data marked to be written in ASCII only."""
    if isinstance(value, dict):
        return {in_ascii(key): in_ascii(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [in_ascii(item) for item in value]
    return _Ascii(value) if isinstance(value, str) and not value.isascii() else value


def scalar(value: Any, *, quote: str = "") -> str:
    """Return one value on one line; ``quote`` is the preferred kind of quotes for a text."""
    if isinstance(value, str):
        return _text(value, quote)
    if isinstance(value, float):
        return _EXPONENT.sub(r"\1.0e", repr(value))  # 1e+16 is a text in version 1.1
    return json.dumps(value)


def _text(text: str, quote: str) -> str:
    if isinstance(text, _Ascii):
        return '"' + "".join(_escaped(char) if char.isascii() else ascii(char)[1:-1] for char in text) + '"'
    if not text.isprintable() or quote == '"':
        return '"' + "".join(map(_escaped, text)) + '"'
    if quote or not _is_word(text):
        return "'" + text.replace("'", "''") + "'"
    return text


def _is_word(text: str) -> bool:
    return (
        _WORD.fullmatch(text) is not None
        and text.lower() not in _RESOLVED
        and ": " not in text
        and text[-1] not in ": "
    )


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    return ascii(character)[1:-1]  # \x85, \u2028, \U000e0001: YAML has the same escapes


def flow(value: Any) -> str:
    """Return any value on one line, in braces and brackets."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow_key(key)}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def _flow_key(key: str) -> str:
    written = scalar(key)
    return written if len(written) <= _LONGEST_KEY else f"? {written} "


def block(value: Any) -> str:
    """Return any value in block style, each line with its line feed."""
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _pair(scalar(key), inner)
    elif isinstance(value, list) and value:
        for item in value:
            yield from _under("- ", _lines(item))
    elif isinstance(value, str) and _is_literal(value):
        yield "|" if value.endswith("\n") else "|-"
        yield from (f"  {line}" if line else "" for line in value.removesuffix("\n").split("\n"))
    else:
        yield flow(value)


def _pair(key: str, value: Any) -> Iterator[str]:
    lines = _lines(value)
    if len(key) > _LONGEST_KEY:
        yield f"? {key}"
        yield from _under(": ", lines)
    elif isinstance(value, dict | list) and value:
        yield f"{key}:"
        yield from (f"  {line}" if line else "" for line in lines)
    else:
        yield f"{key}: {next(lines)}"
        yield from lines


def _under(indicator: str, lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield (indicator if number == 0 else "  ") + line if line else ""


def _is_literal(text: str) -> bool:
    """Whether a text of several lines reads back from a ``|`` block in every version."""
    lines = text.removesuffix("\n").split("\n")
    return (
        not isinstance(text, _Ascii)
        and len(lines) > 1
        and bool(lines[0] and lines[-1])
        and all(line.isprintable() and (not line or bool(line.strip())) for line in lines)
        and not lines[0].startswith(" ")
    )
