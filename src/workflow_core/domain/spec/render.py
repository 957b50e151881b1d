"""The stored form of a spec: the user's text, comments and order kept, made complete with the registered values.

Nothing is written anew but the values that change: every other character is the user's, so every other value is, too.
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
    """Return ``text`` with each of ``values`` set at the top level, over what the text says.

    ``text`` must already have passed :func:`~workflow_core.domain.spec.parse.parse_spec`. Comments and the order of keys
    survive; a mapping such as ``schedule`` is merged key by key; values that already stand there leave the text untouched, but for
    its line ends, which become line feeds.
    """
    text = normalized(text)
    root = compose(text)
    wanted = read_node(root)
    _merge(wanted, values)
    assert isinstance(root, Mapping)
    edits = _Edits(text if text.endswith("\n") else f"{text}\n")
    edits.set_all(root, values)
    if not edits.spans:
        return text
    edits.expand_aliases(root)
    edited = edits.text()
    try:
        faithful = _equal(read_node(compose(edited)), wanted)
    except InvalidWorkflowSpec:
        faithful = False
    return (
        edited if faithful else block(wanted)
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
    """Replacements in a text, by the offsets at which the old parts begin and end."""

    _text: str
    spans: dict[tuple[int, int], str] = field(factory=dict)

    def text(self) -> str:
        """The text with everything replaced."""
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
        """Write a value where none stands."""
        if self._text[node.start - 1 : node.start] == ":":
            self._insert(node.start, f" {value}")
        else:
            self._insert(key.end, f": {value}")

    def _insert(self, at: int, new: str) -> None:
        self.spans[at, at] = self.spans.get((at, at), "") + new

    def _replace_block(self, node: Node, value: str) -> None:
        """Keep the comment in the first line, and the empty lines behind the last one."""
        old = self._text[node.start : node.end]
        _, mark, comment = old.partition("\n")[0].partition(" #")
        behind = old[len(old.rstrip("\n ")) :]
        self.spans[node.start, node.end] = value + mark + comment + behind

    def _replace(self, node: Node, value: str) -> None:
        """Keep a comment behind the value in its column."""
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
        """Write out each alias of something that changes."""
        changed = list(self.spans)
        for alias in _aliases(root):
            start, end = alias.target.start, alias.target.end
            touched = any((at < end and start < until) or start < at <= end for at, until in changed)
            inside = any(at <= alias.start < until for at, until in changed)
            if touched and not inside:
                self.spans[alias.start, alias.end] = flow(read_node(alias))


def _tail(node: Node) -> int:
    """The offset at which the last value in a block collection ends."""
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
    """The hash by which a served DAG is recognised as built from exactly this text: 16 hex digits of its SHA-256."""
    data = text.encode() if isinstance(text, str) else text
    return hashlib.sha256(data).hexdigest()[:16]
