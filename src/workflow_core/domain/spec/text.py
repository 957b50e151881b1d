"""Read YAML text into plain data with positions, safely for hostile input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from workflow_core.domain.names import dotted, quoted, unstorable
from workflow_core.domain.spec.characters import normalized, refusal, unprintable
from workflow_core.domain.spec.core import NoSuchValue, plain_value
from workflow_core.domain.spec.nodes import Mapping, Node, Scalar, Sequence, compose
from workflow_core.errors import InvalidWorkflowSpec, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping as MappingOf
    from collections.abc import Set as AbstractSet

Path = tuple[str | int, ...]


@frozen
class YamlText:
    """Plain data (dicts, lists, JSON scalars) read from a YAML text, with the position of each part.

    ``positions`` maps a path (``("tasks", 2, "operator")``) to the 1-based line and column of its value, and
    ``keys`` to those of its key. ``plain`` holds the paths of the values that are scalars without quotes.
    """

    data: Any
    positions: MappingOf[Path, tuple[int, int]]
    keys: MappingOf[Path, tuple[int, int]]
    plain: AbstractSet[Path] = frozenset()

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """Return a problem at the position of the value at ``path``, or of the nearest enclosing value that has one."""
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
            a key that is duplicate or not a string, a number that JSON cannot hold or that is too long.
    """
    size = len(text.encode("utf-8", errors="surrogatepass"))
    if size > max_bytes:
        raise refusal(f"the YAML is {size} bytes long; at most {max_bytes} are allowed", 1, 1)
    reader = _Reader()
    data = reader.read(compose(normalized(text)))
    return YamlText(data, reader.positions, reader.keys, reader.plain)


def read_node(node: Node) -> Any:
    """Return a node as plain data.

    Raises:
        InvalidWorkflowSpec: a part of it has no value.
    """
    return _Reader().read(node)


@frozen
class _Reader:
    """Converts a tree of nodes to data and collects all problems."""

    positions: dict[Path, tuple[int, int]] = field(factory=dict)
    keys: dict[Path, tuple[int, int]] = field(factory=dict)
    plain: set[Path] = field(factory=set)
    problems: list[Problem] = field(factory=list)

    def read(self, node: Node) -> Any:
        data = self.value(node, ())
        if self.problems:
            raise InvalidWorkflowSpec.of(self.problems)
        return data

    def value(self, node: Node, path: Path) -> Any:
        node = node.target
        self.positions[path] = node.place
        if isinstance(node, Scalar):
            return self._scalar(node, path)
        if isinstance(node, Sequence):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.items)]
        assert isinstance(node, Mapping)
        return self._mapping(node, path)

    def _mapping(self, node: Mapping, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.pairs:
            wrong, key = self._key(key_node.target)
            if wrong:
                self._add(key_node, path, wrong)
            elif key in result:
                self._add(key_node, (*path, key), "the key is repeated here")
            else:
                self.keys[*path, key] = key_node.place
                result[key] = self.value(value_node, (*path, key))
        return result

    @staticmethod
    def _key(node: Node) -> tuple[str | None, str]:
        """Return why a node cannot be a key (None if it can), and the key."""
        if not isinstance(node, Scalar):
            return "a key must be a plain word, not a list or mapping", ""
        key = node.text
        if wrong := _unreadable(node):
            return wrong, ""
        if node.is_plain:
            if not key:
                return "a key is missing here", ""
            if key == "<<":
                return "merge keys ('<<') are not supported; write the values out", ""
            if not isinstance(plain_value(key), str):
                return f"the key {quoted(key)} is not a text, as keys must be; write it in quotes", ""
        return None, key

    def _scalar(self, node: Scalar, path: Path) -> Any:
        if node.is_plain:
            self.plain.add(path)
        if wrong := _unreadable(node):
            self._add(node, path, wrong)
            return None
        return plain_value(node.text) if node.is_plain else node.text

    def _add(self, node: Node, path: Path, message: str) -> None:
        line, column = node.place
        self.problems.append(Problem(message=message, field=dotted(path) or None, line=line, column=column))


def _unreadable(node: Scalar) -> str | None:
    """Return why a scalar has no value that can be stored; None if it has one."""
    if wrong := unstorable(node.text):
        return wrong
    if not node.quotes and (wrong := unprintable(node.text)):
        return wrong
    if node.is_plain:
        try:
            plain_value(node.text)
        except NoSuchValue as error:
            return f"{quoted(node.text)} {error}"
    return None
