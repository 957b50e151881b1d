"""YAML text to plain data with positions, safe on hostile input.

Each event is checked (depth, number of nodes, aliases, tags) before a node is made of it, because every later stage recurses or expands:
ruamel needs minutes for 100,000 nested brackets, and an alias bomb doubles with each line.
"""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import define, evolve, field, frozen
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.parser import RoundTripParser
from ruamel.yaml.scanner import RoundTripScanner

from workflow_core.domain.names import dotted, shown, unstorable
from workflow_core.errors import InvalidWorkflowSpec, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

    from ruamel.yaml.events import Event

MAX_DEPTH: Final = 32
MAX_NODES: Final = 20_000
"""Nodes of one document, each alias counted as a node; aliases never expand to more than this in all."""

MAX_ALIASED: Final = 262_144
"""Characters that all aliases of one document stand for: one of a long text is a single node, and ten thousand of it are a gigabyte
as JSON."""
MAX_DIGITS: Final = 1000
"""Digits of a whole number in any base: Python refuses to write one of more than 4,300 decimal digits (``sys.set_int_max_str_digits``)."""

_VERSION: Final = (1, 2)
_CORE: Final = "tag:yaml.org,2002:"

Path = tuple[str | int, ...]


@frozen
class YamlText:
    """Plain data (dicts, lists, JSON scalars) read from a YAML text, and where each part of it stands.

    ``positions`` maps a path (``("tasks", 2, "operator")``) to the 1-based line and column of its value, and
    ``keys`` to those of its key. ``plain`` holds the paths of the values that are scalars without quotes.
    """

    data: Any
    positions: Mapping[Path, tuple[int, int]]
    keys: Mapping[Path, tuple[int, int]]
    plain: AbstractSet[Path] = frozenset()

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """A finding about the value at ``path``, or the nearest enclosing one that has a position."""
        places = self.keys if at_key and path in self.keys else self.positions
        place = path
        while place not in places and place:
            place = place[:-1]
        line, column = places.get(place, (1, 1))
        return Problem(message=message, field=dotted(path) or None, line=line, column=column)


def read_yaml(text: str, *, max_bytes: int) -> YamlText:
    """Read one YAML document.

    Raises:
        InvalidWorkflowSpec: too large or too deep, more than one document, broken syntax, a tag other than ``!!str``,
            a key that is duplicate or not a string, an impossible date, a number that JSON cannot hold or nobody can print.
    """
    size = len(text.encode("utf-8", errors="surrogatepass"))
    if size > max_bytes:
        raise _refuse(f"the YAML is {size} bytes long; at most {max_bytes} are allowed", 1, 1)
    try:
        root = _yaml().compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise _refuse(f"not valid YAML: {error.problem or error.context}", line, column) from None
    except YAMLError as error:  # characters that YAML does not allow at all: no mark, only an offset
        offset = int(getattr(error, "position", 0))
        line = text.count("\n", 0, offset) + 1
        column = offset - text.rfind("\n", 0, offset)
        raise _refuse("not valid YAML: a character that YAML does not allow", line, column) from None
    if root is None:
        raise _refuse("the YAML is empty", 1, 1)
    reader = _Reader()
    data = reader.value(root, ())
    if reader.problems:
        raise InvalidWorkflowSpec.of(reader.problems)
    return YamlText(data, reader.positions, reader.keys, reader.plain)


def _refuse(message: str, line: int, column: int) -> InvalidWorkflowSpec:
    return InvalidWorkflowSpec.of([Problem(message=message, line=line, column=column)])


class _Scanner(RoundTripScanner):
    """ruamel's, but for what it does not bear."""

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:  # noqa: N803 - ruamel's own name
        # it reads up to 1,024 characters ahead of its events, in a time that is quadratic in the brackets there
        if len(self.flow_context) >= MAX_DEPTH:
            mark = self.reader.get_mark()
            raise _too_deep(mark.line + 1, mark.column + 1)
        super().fetch_flow_collection_start(TokenClass, to_push)

    def scan_yaml_directive_value(self, start_mark: Any) -> Any:
        version = super().scan_yaml_directive_value(start_mark)
        if version != _VERSION:  # in 1.1 `no` is false and `12:30:45` a number, and ruamel asserts that it is no other
            raise _refuse("only YAML 1.2 is read; leave this line out", start_mark.line + 1, 1)
        return version


@define
class _Weight:
    """What something counts for: its nodes, and the characters of its texts, with its aliases expanded."""

    nodes: int = 0
    characters: int = 0

    def add(self, other: _Weight) -> None:
        self.nodes += other.nodes
        self.characters += other.characters

    def since(self, before: _Weight) -> _Weight:
        return _Weight(self.nodes - before.nodes, self.characters - before.characters)


@define
class _Guard:
    """Refuses what later stages cannot bear, at the first event that is too much."""

    _depth: int = 0
    _aliased: int = 0
    _total: _Weight = field(factory=_Weight)
    _weights: dict[str, _Weight] = field(factory=dict)
    _open: list[tuple[str | None, _Weight]] = field(factory=list)

    def see(self, event: Event) -> None:
        """Count one event more.

        Raises:
            InvalidWorkflowSpec: that is too much.
        """
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        tag = getattr(event, "tag", None)
        if tag is not None and not (isinstance(event, ScalarEvent) and str(tag) == _CORE + "str"):
            raise _refuse(f"the tag {shown(str(tag))} is not allowed; write plain values only", line, column)
        self._weigh(event, line, column)
        if self._depth > MAX_DEPTH:
            raise _too_deep(line, column)
        if self._total.nodes > MAX_NODES:
            raise _refuse(f"more than {MAX_NODES} values once its aliases are expanded", line, column)
        if self._aliased > MAX_ALIASED:
            raise _refuse(f"its aliases stand for more than {MAX_ALIASED} characters", line, column)

    def _weigh(self, event: Event, line: int, column: int) -> None:
        if isinstance(event, AliasEvent):
            if event.anchor not in self._weights:
                raise _refuse(f"the alias {shown('*' + event.anchor)} has no complete anchor before it", line, column)
            self._total.add(self._weights[event.anchor])
            self._aliased += self._weights[event.anchor].characters
        elif isinstance(event, CollectionStartEvent):
            self._depth += 1
            self._open.append((event.anchor, evolve(self._total)))
            self._total.add(_Weight(1))
        elif isinstance(event, ScalarEvent):
            weight = _Weight(1, len(event.value))
            self._total.add(weight)
            if event.anchor:
                self._weights[event.anchor] = weight
        elif isinstance(event, CollectionEndEvent):
            self._depth -= 1
            anchor, before = self._open.pop()
            if anchor:
                self._weights[anchor] = self._total.since(before)


class _Parser(RoundTripParser):
    """ruamel's, but that each event is looked at before anybody makes something of it."""

    def __init__(self, loader: YAML) -> None:
        super().__init__(loader)
        self._guard = _Guard()
        self._place = (1, 1)

    def check_event(self, *choices: type[Event]) -> bool:
        self._read()
        return bool(super().check_event(*choices))

    def peek_event(self) -> Any:
        self._read()
        return super().peek_event()

    def get_event(self) -> Any:
        self._read()
        return super().get_event()

    def _read(self) -> None:
        if self.current_event is not None or self.state is None:
            return
        try:
            self.current_event = event = self.state()
        except (
            ValueError,
            OverflowError,
        ):  # ruamel hands escapes such as "\UFFFFFFFF" to chr(), versions to int(), as they are
            message = "not valid YAML: after this place stands an escape that names no character, or a number that is too long"
            raise _refuse(message, *self._place) from None
        self._place = (event.start_mark.line + 1, event.start_mark.column + 1)
        self._guard.see(event)


def _yaml() -> YAML:
    yaml = YAML(pure=True)
    yaml.Scanner = _Scanner
    yaml.Parser = _Parser
    yaml.composer.warn_double_anchors = False  # legal, and its warning would put the user's text on stderr
    return yaml


def _too_deep(line: int, column: int) -> InvalidWorkflowSpec:
    return _refuse(f"nested more than {MAX_DEPTH} levels deep", line, column)


@frozen
class _Reader:
    """Node tree to data, collecting every problem rather than the first."""

    positions: dict[Path, tuple[int, int]] = field(factory=dict)
    keys: dict[Path, tuple[int, int]] = field(factory=dict)
    plain: set[Path] = field(factory=set)
    problems: list[Problem] = field(factory=list)

    def value(self, node: Node, path: Path) -> Any:
        self.positions[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._add(key_node, path, "a key must be a plain word, not a list or mapping")
                continue
            key = str(key_node.value)
            if wrong := unstorable(key) or self._impossible(key_node):
                self._add(key_node, path, wrong)
            elif not key and key_node.style is None:
                self._add(key_node, path, "a key is missing here")
            elif key == "<<" and key_node.style is None:
                self._add(key_node, path, "merge keys ('<<') are not supported; write the values out")
            elif key in result:
                self._add(key_node, (*path, key), "the key stands here a second time")
            else:
                self.keys[(*path, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
                result[key] = self.value(value_node, (*path, key))
        return result

    def _scalar(self, node: Node, path: Path) -> Any:
        if isinstance(node, ScalarNode) and node.style is None:
            self.plain.add(path)
        if wrong := unstorable(str(node.value)) or self._impossible(node):
            self._add(node, path, wrong)
            return None
        return _plain(node)

    @staticmethod
    def _impossible(node: Node) -> str | None:
        """Why there is no such value; None if there is."""
        try:
            _plain(node)
        except (ValueError, OverflowError) as error:
            kind = _kind(node)
            return f"{shown(str(node.value))} is not a {_KINDS.get(kind, kind)}: {error}"
        return None

    def _add(self, node: Node, path: Path, message: str) -> None:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        self.problems.append(Problem(message=message, field=dotted(path) or None, line=line, column=column))


def _kind(node: Node) -> str:
    return str(node.tag).removeprefix(_CORE)


def _plain(node: Node) -> Any:
    return _SCALARS.get(_kind(node), str)(str(node.value))


def _integer(text: str) -> int:
    digits = text.replace("_", "").lower()
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    if len(digits) > MAX_DIGITS:
        msg = f"more than {MAX_DIGITS} digits"
        raise ValueError(msg)
    for prefix, base in (("0x", 16), ("0o", 8), ("0b", 2)):
        if digits.startswith(prefix):
            return sign * int(digits[2:], base)
    return sign * int(digits)


def _float(text: str) -> float:
    lowered = text.replace("_", "").lower()
    if lowered.lstrip("+-") in {".inf", ".nan"}:
        msg = "JSON has no such number"
        raise ValueError(msg)
    value = float(lowered)
    if not math.isfinite(value):
        msg = "out of range"
        raise ValueError(msg)
    return value


def _timestamp(text: str) -> str:
    """Dates stay the text that the user wrote, once they are known to exist: JSON and Jinja have no other form."""
    (date if len(text) <= len("2026-01-01") else datetime).fromisoformat(_padded(text))
    return text


def _padded(text: str) -> str:
    """YAML allows ``2026-1-2``; ISO 8601, which Python reads, does not."""
    day, separator, rest = text.partition("T") if "T" in text else text.partition(" ")
    year, month, last = day.split("-")
    return f"{year}-{month:0>2}-{last:0>2}{separator}{rest.replace(' ', '')}"


_SCALARS: Final[dict[str, Callable[[str], Any]]] = {
    "int": _integer,
    "float": _float,
    "bool": lambda text: text.lower() in {"true", "yes", "on"},
    "null": lambda _text: None,
    "timestamp": _timestamp,
    "str": str,
}
_KINDS: Final = {"int": "whole number", "float": "number", "timestamp": "date"}
