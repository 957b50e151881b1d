"""The stored form of a spec: the user's text with its comments and order, completed with the registered values.

Only changed values are rewritten: every other character, and so every other value, is the user's.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from attrs import define, field

from workflow_core.domain.spec.characters import normalized
from workflow_core.domain.spec.nodes import Alias, Mapping, Node, Scalar, Sequence, compose
from workflow_core.domain.spec.text import read_node
from workflow_core.domain.spec.write import block, flow, scalar
from workflow_core.errors import InvalidWorkflowSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping as MappingOf


def complete(text: str, values: MappingOf[str, Any]) -> str:
    """Return ``text`` with each of ``values`` set at the top level, over the values in the text.

    ``text`` must already have passed :func:`~workflow_core.domain.spec.parse.parse_spec`. Comments and the order of keys
    survive; a mapping such as ``schedule`` is merged key by key; values that are already present leave the text unchanged, except
    that its line ends become line feeds.
    """
    text = normalized(text)
    root = compose(text)
    expected = read_node(root)
    _merge(expected, values)
    assert isinstance(root, Mapping)
    edits = _Edits(text if text.endswith("\n") else f"{text}\n")
    edits.set_all(root, values)
    if not edits.spans:
        return text
    edits.expand_aliases(root)
    edited = edits.text()
    try:
        faithful = _equal(read_node(compose(edited)), expected)
    except InvalidWorkflowSpec:
        faithful = False
    return (
        edited if faithful else block(expected)
    )  # a mapping of rare form, such as `? key` without a value, loses its comments


def _merge(data: dict[str, Any], values: MappingOf[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(data.get(name), dict):
            _merge(data[name], value)
        else:
            data[name] = value


def _equal(one: Any, other: Any) -> bool:
    """Equal, of equal types (``1`` is not ``True``), and in the same order."""
    return repr(one) == repr(other)


@define
class _Edits:
    """Replacements in a text, by the start and end offsets of the old parts."""

    _text: str
    spans: dict[tuple[int, int], str] = field(factory=dict)

    def text(self) -> str:
        """Return the text with all replacements."""
        result = self._text
        for (start, end), new in sorted(self.spans.items(), reverse=True):
            result = result[:start] + new + result[end:]
        return result

    def set_all(self, mapping: Mapping, values: MappingOf[str, Any]) -> None:
        """Set the values of a mapping."""
        pairs = {read_node(key): (key, value) for key, value in mapping.pairs}
        added = {name: value for name, value in values.items() if name not in pairs}
        for name, value in values.items():
            if name in pairs:
                self._set(*pairs[name], value)
        if added:
            self._add(mapping, added)

    def _set(self, key: Node, node: Node, value: Any) -> None:
        old = read_node(node)
        if _equal(old, value):
            return
        if isinstance(value, dict) and isinstance(old, dict):
            if isinstance(node, Mapping):
                self.set_all(node, value)
                return
            _merge(old, value)
            value = flow(old)
        elif isinstance(value, dict | list):
            value = flow(value)
        else:
            value = scalar(value, quote=node.quotes if isinstance(node, Scalar) else "")
        if node.start == node.end:
            self._fill(key, node, value)
        elif isinstance(node, Scalar) and node.style in {"|", ">"}:
            self._replace_block(node, value)
        else:
            self._replace(node, value)

    def _fill(self, key: Node, node: Node, value: str) -> None:
        """Write a value after a key without one."""
        if self._text[node.start - 1 : node.start] == ":":
            self._insert(node.start, f" {value}")
        else:
            self._insert(key.end, f": {value}")

    def _insert(self, at: int, new: str) -> None:
        self.spans[at, at] = self.spans.get((at, at), "") + new

    def _replace_block(self, node: Node, value: str) -> None:
        """Replace a block scalar; keep the comment in its first line and the empty lines after its last line."""
        old = self._text[node.start : node.end]
        _, mark, comment = old.partition("\n")[0].partition(" #")
        behind = old[len(old.rstrip("\n ")) :]
        self.spans[node.start, node.end] = value + mark + comment + behind

    def _replace(self, node: Node, value: str) -> None:
        """Replace a value; keep a comment after it in its column."""
        line = self._text[node.end :].partition("\n")[0]
        blanks = len(line) - len(line.lstrip(" "))
        old = self._text[node.start : node.end]
        longer = 0 if "\n" in old else len(value) - len(old)
        if line[blanks : blanks + 1] == "#":
            self.spans[node.start, node.end + blanks] = value + " " * max(1, blanks - longer)
        else:
            self.spans[node.start, node.end] = value

    def _add(self, mapping: Mapping, values: MappingOf[str, Any]) -> None:
        pairs = mapping.pairs
        if mapping.in_flow or not pairs:
            at = pairs[-1][1].end if pairs else mapping.end - 1
            self._insert(at, (", " if pairs else "") + flow(dict(values))[1:-1])
            return
        at = _tail(mapping)
        first = pairs[0][0].start
        indent = " " * (first - self._text.rfind("\n", 0, first) - 1)
        lines = "".join(f"{indent}{line}\n" for line in block(dict(values)).removesuffix("\n").split("\n"))
        self._insert(at if self._text[at - 1] == "\n" else self._text.index("\n", at) + 1, lines)

    def expand_aliases(self, root: Node) -> None:
        """Replace each alias of a changed value by its content."""
        changed = list(self.spans)
        for alias in _aliases(root):
            start, end = alias.target.start, alias.target.end
            touched = any((at < end and start < until) or start < at <= end for at, until in changed)
            inside = any(at <= alias.start < until for at, until in changed)
            if touched and not inside:
                self.spans[alias.start, alias.end] = flow(read_node(alias))


def _tail(node: Node) -> int:
    """Return the offset at which the last value in a block collection ends."""
    while isinstance(node, Mapping | Sequence) and not node.in_flow:
        node = node.pairs[-1][1] if isinstance(node, Mapping) else node.items[-1]
    return node.end


def _aliases(node: Node) -> Iterator[Alias]:
    if isinstance(node, Alias):
        yield node
    elif isinstance(node, Mapping):
        for pair in node.pairs:
            for part in pair:
                yield from _aliases(part)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _aliases(item)


def spec_hash(text: str | bytes) -> str:
    """Return the first 16 hex digits of the text's SHA-256, which identify a DAG built from exactly this text."""
    data = text.encode() if isinstance(text, str) else text
    return hashlib.sha256(data).hexdigest()[:16]
