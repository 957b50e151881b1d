"""The kinds of argument values: the check, description and JSON Schema of each."""

from __future__ import annotations

import codecs
import math
import re
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from workflow_core.domain.names import quoted
from workflow_core.domain.spec.advice import guess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_SECONDS: Final = 315_360_000
"""Ten years: Airflow's scheduler adds durations to dates, and a date after the year 9999 does not exist."""

MAX_WHOLE: Final = 2**31 - 1
"""The largest number in the integer columns of Airflow's database."""

YES_OR_NO: Final = re.compile(r"(?:y|yes|on|n|no|off)\Z", re.IGNORECASE)
"""Words that YAML 1.1 reads as truth values, and YAML 1.2 as text."""

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AMOUNT: Final = re.compile(
    r"(\d+(?:\.\d+)?)\s*(weeks?|w|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])", re.IGNORECASE
)
_LONGEST: Final = 100  # characters of a value that a message repeats
_CLOCK: Final = re.compile(r"(\d{1,4}):([0-5]\d)(?::([0-5]\d))?\Z")


@frozen(kw_only=True)
class Kind:
    """A kind of values.

    Attributes:
        words: the description of a value, as it follows "must be".
        fits: whether a value is of this kind.
        schema: the JSON Schema of a value.
        fix: the advice for a value that does not fit; None without advice.
        null: whether null is allowed, because it is the operator's default.
        loose: whether the parts of a value may be of any kind.
    """

    words: str
    fits: Callable[[Any], bool]
    schema: Mapping[str, Any]
    fix: Callable[[Any], str | None] = lambda _value: None
    null: bool = False
    loose: bool = False

    def wrong(self, value: Any) -> str | None:
        """Return the problem with ``value`` and the fix; None if it is of this kind."""
        if (value is None and self.null) or (value is not None and self.fits(value)):
            return None
        fix = "leave the key out instead of null" if value is None else self.fix(value)
        return f"must be {self.words}{f'; {fix}' if fix else ''}"

    def or_null(self) -> Kind:
        """Return this kind with null allowed."""
        return evolve(self, null=True)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the values."""
        return {"anyOf": [dict(self.schema), {"type": "null"}]} if self.null else dict(self.schema)


def is_number(value: object) -> bool:
    """Whether this is a finite number and not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: object) -> bool:
    """Whether this is a whole number and not a truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def seconds_in(text: str) -> int | float | None:
    """Return the seconds of a duration such as ``5m``, ``1 hour 30 minutes`` or ``00:05:00``; None for any other text."""
    if clock := _CLOCK.match(text.strip()):
        hours, minutes, rest = (int(part or 0) for part in clock.groups())
        return hours * 3600 + minutes * 60 + rest
    amounts = _AMOUNT.findall(text)
    if not amounts or _AMOUNT.sub("", text).strip(" ,") not in {"", "and"}:
        return None
    total: float = sum(float(amount) * _UNITS[unit[0].lower()] for amount, unit in amounts)
    return int(total) if total.is_integer() else total


def _fix_seconds(value: Any) -> str | None:
    if isinstance(value, str):
        if _numeric(value):
            return f"write {value.strip()} without quotes"
        seconds = seconds_in(value[:_LONGEST])
        return None if seconds is None else f"write {seconds}"
    return None


def _fix_whole(value: Any) -> str | None:
    if isinstance(value, str) and _numeric(value):
        return f"write {value.strip()} without quotes"
    return None


def _fix_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return f'quote it: "{str(value).lower()}"'
    return f'quote it: "{value}"' if is_number(value) and len(str(value)) <= _LONGEST else None


def _fix_boolean(value: Any) -> str | None:
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return f"write {value.lower()} without quotes"
    if isinstance(value, str) and YES_OR_NO.match(value):
        return f"write {'true' if value.lower() in {'y', 'yes', 'on'} else 'false'}"
    return None


def _numeric(text: str) -> bool:
    return re.fullmatch(r"\s*-?[0-9]{1,30}(\.[0-9]{1,30})?\s*", text) is not None


def _filled(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


TEXT: Final = Kind(words="text", fits=lambda value: isinstance(value, str), schema={"type": "string"}, fix=_fix_text)
FILLED: Final = Kind(
    words="text that is not empty", fits=_filled, schema={"type": "string", "pattern": r"\S"}, fix=_fix_text
)
BOOLEAN: Final = Kind(
    words="true or false", fits=lambda value: isinstance(value, bool), schema={"type": "boolean"}, fix=_fix_boolean
)
SECONDS: Final = Kind(
    words=f"a number of seconds from 0 to {MAX_SECONDS}",
    fits=lambda value: is_number(value) and 0 <= value <= MAX_SECONDS,
    schema={"type": "number", "minimum": 0, "maximum": MAX_SECONDS},
    fix=_fix_seconds,
)
LIST: Final = Kind(words="a list", fits=lambda value: isinstance(value, list), schema={"type": "array"}, loose=True)
MAPPING: Final = Kind(
    words="a mapping", fits=lambda value: isinstance(value, dict), schema={"type": "object"}, loose=True
)


def whole(least: int, most: int = MAX_WHOLE) -> Kind:
    """Return the kind of whole numbers in a range."""
    return Kind(
        words=f"a whole number from {least} to {most}",
        fits=lambda value: is_whole(value) and least <= value <= most,
        schema={"type": "integer", "minimum": least, "maximum": most},
        fix=_fix_whole,
    )


def one_of(*choices: str) -> Kind:
    """Return the kind of one of the given words."""

    def fix(value: Any) -> str | None:
        choice = guess(value.lower(), choices) if isinstance(value, str) else None
        return f"did you mean {choice!r}?" if choice else None

    words = f"one of {', '.join(choices)}"
    return Kind(words=words, fits=lambda value: value in choices, schema={"enum": list(choices)}, fix=fix)


def either(words: str, *kinds: Kind) -> Kind:
    """Return the kind of values of any of the given kinds."""
    return Kind(
        words=words,
        fits=lambda value: any(kind.fits(value) for kind in kinds),
        schema={"anyOf": [dict(kind.schema) for kind in kinds]},
        fix=lambda value: next((fix for kind in kinds if (fix := kind.fix(value))), None),
        loose=any(kind.loose for kind in kinds),
    )


def list_of(kind: Kind, words: str, *, least: int = 0) -> Kind:
    """Return the kind of lists whose items are all of one kind."""
    return Kind(
        words=words,
        fits=lambda value: isinstance(value, list) and len(value) >= least and all(map(kind.fits, value)),
        schema={"type": "array", "items": dict(kind.schema), "minItems": least},
        fix=lambda value: _first_fix(kind, value if isinstance(value, list) else ()),
    )


def _first_fix(kind: Kind, values: Sequence[Any]) -> str | None:
    return next((fix for value in values if not kind.fits(value) and (fix := kind.fix(value))), None)


def _fix_texts(value: Any) -> str | None:
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(item, str):
                fix = _fix_text(item)
                return f"{quoted(name)}: {fix or 'write text'}"
    if isinstance(value, list):
        return "write `NAME: value` for each"
    return None


TEXTS: Final = Kind(
    words="a mapping of text to text",
    fits=lambda value: isinstance(value, dict) and all(isinstance(item, str) for item in value.values()),
    schema={"type": "object", "additionalProperties": {"type": "string"}},
    fix=_fix_texts,
)


def _is_encoding(value: Any) -> bool:
    try:
        return isinstance(value, str) and value.isascii() and codecs.lookup(value) is not None
    except (LookupError, ValueError):
        return False


ENCODING: Final = Kind(
    words="the name of a text encoding, such as utf-8", fits=_is_encoding, schema={"type": "string", "minLength": 1}
)

_CALLABLE: Final = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$"
CALLABLE: Final = Kind(
    words="the import path of a function, `package.module.function`",
    fits=lambda value: isinstance(value, str) and re.match(_CALLABLE.replace("$", r"\Z"), value) is not None,
    schema={"type": "string", "pattern": _CALLABLE},
)
