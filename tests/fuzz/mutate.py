"""Inputs that are nearly right: a valid one of a corpus, changed token by token in one to five places."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

_TOKEN: Final = re.compile(r"[^\W_]+|[^\S\n]+|.", re.DOTALL)
_PAIRS: Final = (("[", "]"), ("{", "}"), ("(", ")"), ('"', '"'), ("'", "'"), ("{a: ", "}"), ("- ", ""))
_BROKEN: Final = (
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\0",
)
"""Bytes that are no UTF-8, or look like another encoding."""

ODD: Final = (
    "", "\0", "\x07", "\x1b[2J", "\x7f", "\x85", "\xa0", "\r", "\r\n", "\n", "\t", " ", "\u2028", "\u200b", "\u202e", "\ufeff", "\uffff",
    "\ud800", "\udfff\ud800", "é", "e\u0301", "ß", "İ", "\u0663", "²", "\U0001f600", "\U0010ffff", "0", "-1", "-0", "00", "1_0", "+1",
    "0x1F", "0o17", "0b1", "1e999", "-1e-999", "1.5", ".5", "NaN", "-Infinity", "9" * 20, "9" * 400, "9" * 4400, "2147483648",
    "9223372036854775808", "true", "null", "None", "~", "%", "%00", "%2F", "%ff", "%ud800", "+", "&", "=", ";", "#", "\\", "\\u0000",
    "\\ud800", "/", "../", "..", ".", ":", ",", "*", "?", "'", '"', "`", "$", "{{ 7*7 }}", "{0}", "{", "}", "[", "]", "(", ")", "<", "|",
    "0000-00-00", "2026-02-30", "9999-12-31", "0001-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "24:00:00",
)  # fmt: skip
"""What every parser meets one day: control and format characters, half characters, numbers at and beyond limits, escapes, dates."""


def mutated(dice: Random, corpus: Sequence[str], fragments: Sequence[str], longest: int) -> str:
    """A text of ``corpus`` with one to five changes, at most ``longest`` characters long."""
    tokens = list(_tokens(dice.choice(corpus)))
    for _ in range(dice.choice((1, 1, 1, 1, 2, 3, 5))):
        change = dice.choice(_CHANGES)
        tokens = change(tokens, dice, fragments if fragments and dice.random() < 0.6 else ODD)
        if dice.random() < 0.05:
            tokens = _spliced(tokens, list(_tokens(dice.choice(corpus))), dice)
    return "".join(tokens)[:longest]


def broken(dice: Random, text: str) -> bytes:
    """The text in UTF-8 (half characters included); every third time with bytes in it that are none."""
    raw = text.encode("utf-8", errors="surrogatepass")
    if dice.randrange(3):
        return raw
    at = dice.randrange(len(raw) + 1)
    if dice.randrange(2):
        return raw[:at] + dice.choice(_BROKEN) + raw[at:]
    return raw[:at] + bytes([dice.randrange(256)]) + raw[at + 1 :]


@lru_cache(maxsize=1024)
def _tokens(text: str) -> tuple[str, ...]:
    return tuple(_TOKEN.findall(text))


def _part(tokens: list[str], dice: Random, most: int = 8) -> tuple[int, int]:
    start = dice.randrange(len(tokens) + 1)
    return start, min(len(tokens), start + dice.randint(1, most))


def _removed(tokens: list[str], dice: Random, _fragments: Sequence[str]) -> list[str]:
    start, end = _part(tokens, dice)
    return tokens[:start] + tokens[end:]


def _cut(tokens: list[str], dice: Random, _fragments: Sequence[str]) -> list[str]:
    return tokens[: dice.randrange(len(tokens) + 1)]


def _doubled(tokens: list[str], dice: Random, _fragments: Sequence[str]) -> list[str]:
    start, end = _part(tokens, dice, 30)
    return tokens[:end] + tokens[start:end] * dice.randint(1, 4) + tokens[end:]


def _swapped(tokens: list[str], dice: Random, _fragments: Sequence[str]) -> list[str]:
    if len(tokens) < 2:
        return tokens
    one, other = dice.randrange(len(tokens)), dice.randrange(len(tokens))
    changed = list(tokens)
    changed[one], changed[other] = changed[other], changed[one]
    return changed


def _put(tokens: list[str], dice: Random, fragments: Sequence[str]) -> list[str]:
    start, _ = _part(tokens, dice)
    return [*tokens[:start], dice.choice(fragments), *tokens[start:]]


def _replaced(tokens: list[str], dice: Random, fragments: Sequence[str]) -> list[str]:
    start, end = _part(tokens, dice, 2)
    return [*tokens[:start], dice.choice(fragments), *tokens[end:]]


def _many(dice: Random) -> int:
    """Mostly a few, sometimes thousands."""
    return int(2 ** (12 * dice.random() ** 3))


def _repeated(tokens: list[str], dice: Random, fragments: Sequence[str]) -> list[str]:
    start, end = _part(tokens, dice, 3)
    piece = "".join(tokens[start:end]) if dice.random() < 0.5 else dice.choice(fragments)
    return [*tokens[:start], piece * _many(dice), *tokens[end:]]


def _nested(tokens: list[str], dice: Random, _fragments: Sequence[str]) -> list[str]:
    start, end = _part(tokens, dice)
    opening, closing = dice.choice(_PAIRS)
    depth = _many(dice)
    return [*tokens[:start], opening * depth, *tokens[start:end], closing * depth, *tokens[end:]]


def _spliced(tokens: list[str], others: list[str], dice: Random) -> list[str]:
    start, end = _part(others, dice, 40)
    at, _ = _part(tokens, dice)
    return tokens[:at] + others[start:end] + tokens[at:]


_CHANGES: Final[tuple[Callable[[list[str], Random, Sequence[str]], list[str]], ...]] = (
    _removed, _cut, _doubled, _swapped, _put, _put, _put, _replaced, _replaced, _replaced, _repeated, _nested,
)  # fmt: skip
