"""A YAML document as a tree of nodes with their offsets in the text."""

from __future__ import annotations

from typing import Any

from attrs import define, field
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from workflow_core.domain.spec.characters import refusal
from workflow_core.domain.spec.events import GuardedEvents


@define(eq=False)
class Node:
    """A value from offset ``start``, including its anchor and tag, to ``end``, at a 1-based line and column."""

    place: tuple[int, int]
    start: int
    end: int

    @property
    def target(self) -> Node:
        """The node itself or, for an alias, the node to which it refers."""
        return self


@define(eq=False)
class Alias(Node):
    """An alias of another node."""

    of: Node

    @property
    def target(self) -> Node:
        """The node with the anchor."""
        return self.of


@define(eq=False)
class Scalar(Node):
    """A scalar, with escapes and folds resolved. ``style`` is its indicator; empty for a plain scalar."""

    text: str
    style: str
    tagged: bool

    @property
    def is_plain(self) -> bool:
        """Whether the core schema determines its value."""
        return not self.style and not self.tagged

    @property
    def quotes(self) -> str:
        """The quotes around it, if any."""
        return self.style if self.style in {'"', "'"} else ""


@define(eq=False)
class Sequence(Node):
    """A list, in brackets or with a ``-`` before each item."""

    in_flow: bool
    items: list[Node] = field(factory=list)


@define(eq=False)
class Mapping(Node):
    """Keys and values in order, in braces or on separate lines."""

    in_flow: bool
    pairs: list[tuple[Node, Node]] = field(factory=list)


def compose(text: str) -> Node:
    """Return the only document of a normalized text as a node.

    Raises:
        InvalidWorkflowSpec: broken syntax, no document, more than one, or one that is too large or too deep.
    """
    try:
        return _Composer(GuardedEvents(text)).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise refusal(f"not valid YAML: {error.problem or error.context}", line, column) from None


@define
class _Composer:
    """Events to nodes."""

    _events: GuardedEvents
    _anchors: dict[str, Node] = field(factory=dict)

    def document(self) -> Node:
        self._events.next_event()  # of the stream
        if isinstance(self._events.next_event(), StreamEndEvent):
            raise refusal("the YAML is empty", 1, 1)
        root = self._node(self._events.next_event())
        self._events.next_event()  # the end of the document
        further = self._events.next_event()
        if not isinstance(further, StreamEndEvent):
            raise refusal("not valid YAML: a second document begins here; one file is one workflow", *_place(further))
        return root

    def _node(self, event: Any) -> Node:
        place, start, end = _place(event), event.start_mark.index, event.end_mark.index
        node: Node
        if isinstance(event, AliasEvent):
            return Alias(place, start, end, self._anchors[event.anchor])
        if isinstance(event, ScalarEvent):
            node = Scalar(place, start, end, event.value, event.style or "", event.tag is not None)
        elif isinstance(event, SequenceStartEvent):
            node = Sequence(place, start, end, bool(event.flow_style))
            self._fill_sequence(node)
        else:
            node = Mapping(place, start, end, bool(event.flow_style))
            self._fill_mapping(node)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _fill_sequence(self, node: Sequence) -> None:
        while not isinstance(event := self._events.next_event(), SequenceEndEvent):
            node.items.append(self._node(event))
        node.end = event.end_mark.index

    def _fill_mapping(self, node: Mapping) -> None:
        while not isinstance(event := self._events.next_event(), MappingEndEvent):
            key = self._node(event)
            node.pairs.append((key, self._node(self._events.next_event())))
        node.end = event.end_mark.index


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
