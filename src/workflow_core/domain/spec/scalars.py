"""The texts of quoted and block scalars: their escapes and folds (sections 6.5, 7.3 and 8.1)."""

from __future__ import annotations

import re
from typing import Final

from workflow_core.domain.names import quoted

_ESCAPES: Final = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b", " ": " ", '"': '"',
    "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip

_SINGLE_PART: Final = re.compile(r"''|[ \t]++(?:\n[ \t\n]*+)?|\n[ \t\n]*+")
_DOUBLE_PART: Final = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U(0010[0-9a-fA-F]{4}|000[0-9a-fA-F]{5}))|\n[ \t\n]*+|.)"
    r"|[ \t]++(?:\n[ \t\n]*+)?|\n[ \t\n]*+",
    re.DOTALL,
)


class NoSuchEscape(ValueError):
    """A backslash at an offset of the text does not begin an escape."""

    def __init__(self, escape: str, offset: int) -> None:
        super().__init__(
            f"'\\{quoted(escape[1:])[1:-1]}' is not an escape of YAML; write '\\\\' for a backslash, or use single quotes"
        )
        self.offset = offset


def single_quoted(text: str) -> str:
    """Return the value of the text between single quotes."""
    return _SINGLE_PART.sub(_single_part, text) if "'" in text or "\n" in text else text


def double_quoted(text: str) -> str:
    """Return the value of the text between double quotes.

    Raises:
        NoSuchEscape: a backslash does not begin an escape.
    """
    return _DOUBLE_PART.sub(_double_part, text) if "\\" in text or "\n" in text else text


def literal(lines: list[str], chomping: str) -> str:
    """Return the text of a ``|`` scalar, given its lines without indentation; ``chomping`` is ``+``, ``-`` or empty."""
    last = _count_without_trailing(lines)
    return _chomped("\n".join(lines[:last]), len(lines) - last, chomping)


def folded(lines: list[str], chomping: str) -> str:
    """Return the text of a ``>`` scalar; the arguments are those of :func:`literal`."""
    last = _count_without_trailing(lines)
    return _chomped(_folded_lines(lines[:last]), len(lines) - last, chomping)


def fold(gap: str) -> str:
    """Fold white space with line breaks: one break becomes a space, further ones are kept (section 6.5)."""
    breaks = gap.count("\n")
    return "\n" * (breaks - 1) if breaks > 1 else " "


def _single_part(found: re.Match[str]) -> str:
    part = found[0]
    return "'" if part == "''" else fold(part) if "\n" in part else part


def _double_part(found: re.Match[str]) -> str:
    part = found[0]
    if part[0] != "\\":
        return fold(part) if "\n" in part else part
    if part[1] == "\n":  # the first break is dropped, further ones are kept (section 7.3.1)
        return "\n" * (part.count("\n") - 1)
    if part[1] in _ESCAPES:
        return _ESCAPES[part[1]]
    high, low, *codes = found.groups()
    if high:  # JSON writes characters beyond U+FFFF as two escapes
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
    if code := next(filter(None, codes), None):
        return chr(int(code, 16))
    raise NoSuchEscape(part, found.start())


def _count_without_trailing(lines: list[str]) -> int:
    last = len(lines)
    while last and not lines[last - 1]:
        last -= 1
    return last


def _chomped(text: str, empty: int, chomping: str) -> str:
    """Return the text with the line breaks at its end, of which ``empty`` belong to empty lines (section 8.1.1.2)."""
    if chomping == "+":
        return text + "\n" * (empty + bool(text))
    return f"{text}\n" if text and not chomping else text


def _folded_lines(lines: list[str]) -> str:
    """Fold the lines of a ``>`` scalar: lines that begin with white space keep the breaks around them (section 8.1.3)."""
    parts: list[str] = []
    breaks, before = 0, ""
    for line in lines:
        if line:
            if parts:
                kept = before[0] in " \t" or line[0] in " \t"
                parts.append("\n" * (breaks + kept) or " ")
            else:
                parts.append("\n" * breaks)
            parts.append(line)
            before, breaks = line, 0
        else:
            breaks += 1
    return "".join(parts)
