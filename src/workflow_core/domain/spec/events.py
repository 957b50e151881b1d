"""YAML 1.2 events, each checked before it becomes a value, because later stages recurse and expand aliases.

ruamel needs minutes for 100,000 nested brackets, and an alias bomb doubles with each line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import define, evolve, field
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent
from ruamel.yaml.parser import Parser
from ruamel.yaml.tokens import BlockEndToken, DocumentEndToken, KeyToken, ValueToken

from workflow_core.domain.names import quoted
from workflow_core.domain.spec.characters import refusal
from workflow_core.domain.spec.scan import MAX_DEPTH, Loader, too_deep

if TYPE_CHECKING:
    from ruamel.yaml.events import Event

MAX_NODES: Final = 20_000
"""The maximum number of nodes of one document, with all aliases expanded."""

MAX_ALIASED: Final = 262_144
"""The maximum number of characters to which all aliases of one document expand.

An alias of a long text is a single node, and ten thousand of them are a gigabyte as JSON.
"""

CORE: Final = "tag:yaml.org,2002:"


@define
class _Weight:
    """The size of a value: its nodes and the characters of its texts, with aliases expanded."""

    nodes: int = 0
    characters: int = 0

    def add(self, other: _Weight) -> None:
        self.nodes += other.nodes
        self.characters += other.characters

    def since(self, before: _Weight) -> _Weight:
        return _Weight(self.nodes - before.nodes, self.characters - before.characters)


@define
class _Guard:
    """Refuses a document that is too large for later stages, at the first event over a limit."""

    _depth: int = 0
    _aliased: int = 0
    _total: _Weight = field(factory=_Weight)
    _weights: dict[str, _Weight] = field(factory=dict)
    _open: list[tuple[str | None, _Weight]] = field(factory=list)

    def see(self, event: Event) -> None:
        """Count one event.

        Raises:
            InvalidWorkflowSpec: the event exceeds a limit, or has a tag that is not allowed.
        """
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        tag = getattr(event, "tag", None)
        if tag is not None and not (isinstance(event, ScalarEvent) and str(tag) == CORE + "str"):
            raise refusal(f"the tag {quoted(str(tag))} is not allowed; write plain values only", line, column)
        self._weigh(event, line, column)
        if self._depth > MAX_DEPTH:
            raise too_deep(line, column)
        if self._total.nodes > MAX_NODES:
            raise refusal(f"more than {MAX_NODES} values once its aliases are expanded", line, column)
        if self._aliased > MAX_ALIASED:
            raise refusal(f"its aliases expand to more than {MAX_ALIASED} characters", line, column)

    def _weigh(self, event: Event, line: int, column: int) -> None:
        if isinstance(event, AliasEvent):
            if event.anchor not in self._weights:
                raise refusal(f"the alias {quoted('*' + event.anchor)} has no complete anchor before it", line, column)
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


class GuardedEvents(Parser):
    """The events of one normalized text."""

    def __init__(self, text: str) -> None:
        super().__init__(Loader(text))
        self._guard = _Guard()

    def parse_implicit_document_start(self) -> Any:
        """Replace ruamel's method, which treats a ``...`` before the first document as a part of it."""
        while self.scanner.check_token(DocumentEndToken):
            self.scanner.get_token()
        return super().parse_implicit_document_start()

    def parse_block_mapping_value(self) -> Any:
        """Replace ruamel's method, which gives a missing value the position of the next key."""
        if not self.scanner.check_token(ValueToken):
            return super().parse_block_mapping_value()
        token = self.scanner.get_token()
        if not self.scanner.check_token(KeyToken, ValueToken, BlockEndToken):
            self.states.append(self.parse_block_mapping_key)
            return self.parse_block_node_or_indentless_sequence()
        self.state = self.parse_block_mapping_key
        return self.process_empty_scalar(token.end_mark)

    def next_event(self) -> Any:
        """Return the next event; None after the last one.

        Raises:
            InvalidWorkflowSpec: the document is too large or nested too deep, or has a tag that is not allowed.
            MarkedYAMLError: broken syntax.
        """
        event = self.get_event()
        if event is not None:
            self._guard.see(event)
        return event
