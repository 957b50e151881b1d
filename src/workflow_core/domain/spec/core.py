"""The core schema of YAML 1.2 (section 10.3): the value of a plain scalar. No other module decides it.

``no``, ``1_000``, ``0b11``, ``12:30:45`` and ``2026-01-01`` are texts here, and other types in YAML 1.1.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DIGITS: Final = 1000
"""The maximum number of digits of an integer in any base.

Python refuses to write an integer of more than 4,300 decimal digits (``sys.set_int_max_str_digits``).
"""

_CONSTANTS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER: Final = re.compile(
    r"(?P<decimal>[-+]?[0-9]+)|0o(?P<octal>[0-7]+)|0x(?P<hexadecimal>[0-9a-fA-F]+)"
    r"|(?P<real>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<special>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
)
_FIRST_OF_A_NUMBER: Final = frozenset("+-.0123456789")


class NoSuchValue(ValueError):
    """The core schema gives the scalar a value that JSON does not have, or that is too long to write."""


def plain_value(text: str) -> Any:
    """The value of a plain scalar.

    Raises:
        NoSuchValue: the number is infinite, NaN, or longer than ``MAX_DIGITS``.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _FIRST_OF_A_NUMBER or not (match := _NUMBER.fullmatch(text)):
        return text
    kind = str(match.lastgroup)
    return _VALUES[kind](match[kind])


def _integer(digits: str, base: int) -> int:
    if len(digits.lstrip("+-")) > MAX_DIGITS:
        raise NoSuchValue(f"is not a whole number: more than {MAX_DIGITS} digits")
    return int(digits, base)


def _real(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NoSuchValue("is not a number: out of range")
    return value


def _special(_text: str) -> float:
    raise NoSuchValue("is not a number: JSON has no such number")


_VALUES: Final[dict[str, Callable[[str], int | float]]] = {
    "decimal": lambda text: _integer(text, 10),
    "octal": lambda text: _integer(text, 8),
    "hexadecimal": lambda text: _integer(text, 16),
    "real": _real,
    "special": _special,
}
