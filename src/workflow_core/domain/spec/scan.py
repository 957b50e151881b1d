"""The tokens of YAML 1.2: ruamel's scanner without its deviations from the specification.

ruamel reads tabs, U+0085, U+2028, U+2029, surrogate pairs and the edges of scalars as YAML 1.1 does, and its round-trip scanner marks
the folds of a ``>`` scalar with BEL characters.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import tokens
from ruamel.yaml.reader import Reader
from ruamel.yaml.scanner import Scanner

from workflow_core.domain.spec.characters import FORBIDDEN, place, refusal
from workflow_core.domain.spec.scalars import NoSuchEscape, double_quoted, fold, folded, literal, single_quoted

if TYPE_CHECKING:
    from workflow_core.errors import InvalidWorkflowSpec

MAX_DEPTH: Final = 32
_LONGEST_KEY: Final = 1024
"""The maximum number of characters of a key without ``?`` (section 7.4.2)."""
_KEY_TOKENS: Final = 3
"""Tokens of a key that is a scalar: anchor, tag, scalar."""

_END_SPACE: Final = frozenset(" \t\n\0")
_FLOW: Final = frozenset(",[]{}")
_END_SPACE_FLOW: Final = _END_SPACE | _FLOW
_NEVER_PLAIN: Final = _END_SPACE_FLOW | frozenset("#&*!|>'\"%@`")

_BLANKS: Final = re.compile(r"[ \t]*+")
_PLAIN_LINE: Final = re.compile(
    r"(?:[^ \t\n\0:#]++|:(?![ \t\n\0])|(?<![ \t\n\0])#)++(?:[ \t]++(?:[^ \t\n\0:#]++|:(?![ \t\n\0])|(?<![ \t\n\0])#)++)*+"
)
_FLOW_PLAIN_LINE: Final = re.compile(
    r"(?:[^ \t\n\0:#,\[\]{}]++|:(?![ \t\n\0,\[\]{}])|(?<![ \t\n\0])#)++"
    r"(?:[ \t]++(?:[^ \t\n\0:#,\[\]{}]++|:(?![ \t\n\0,\[\]{}])|(?<![ \t\n\0])#)++)*+"
)
_LINE_ENDS: Final = re.compile(r"[ \t]*+\n[ \t\n]*+")
_SINGLE: Final = re.compile(r"'((?:[^'\0]++|'')*+)'")
_DOUBLE: Final = re.compile(r'"((?:[^"\\\0]++|\\[^\0])*+)"')
_MARKER: Final = re.compile(r"(?:---|\.\.\.)(?=[ \t\n\0])")
_MARKER_LINE: Final = re.compile(r"\n(?:---|\.\.\.)(?=[ \t\n\0])")
_BLOCK_HEADER: Final = re.compile(
    r"[|>](?:([-+])([1-9])?|([1-9])([-+])?)?(?=[ \t\n\0])[ \t]*+(?:(?<=[ \t])#[^\n\0]*+)?(?=[\n\0])"
)
_ANCHOR: Final = re.compile(r"[&*]([^ \t\n\0,\[\]{}]++)")
_TAG: Final = re.compile(r"!<([^ \t\n\0>]++)>|(!(?:[0-9A-Za-z-]*!)?)([^ \t\n\0!,\[\]{}]*+)")
_VERSION: Final = re.compile(r"[ \t]+1\.2(?=[ \t]*(?:[ \t]#[^\n\0]*)?[\n\0])")


class _Source(Reader):
    """ruamel's reader over one normalized text, in which a line feed is the only line break."""

    def check_printable(self, data: str) -> None:
        if found := FORBIDDEN.search(data):
            character = f"U+{ord(found[0]):04X}"
            message = (
                f"not valid YAML: the character {character} is not allowed; write it as an escape in double quotes"
            )
            raise refusal(message, *place(data, found.start()))

    def forward(self, length: int = 1) -> None:
        start, end = self.pointer, self.pointer + length
        if lines := self.buffer.count("\n", start, end):
            self.line += lines
            self.column = end - self.buffer.rfind("\n", start, end) - 1
        else:
            self.column += length
        self.pointer = self.index = end


class _Scanner(Scanner):
    """Tokens of YAML 1.2. The names of its methods are ruamel's."""

    def reset_scanner(self) -> None:
        super().reset_scanner()
        self._tab: tuple[int, int] | None = None

    def _refuse(self, message: str, offset: int | None = None) -> InvalidWorkflowSpec:
        source = self.reader
        return refusal(
            f"not valid YAML: {message}", *place(source.buffer, source.pointer if offset is None else offset)
        )

    # between tokens (chapter 6)

    def scan_to_next_token(self) -> None:
        source = self.reader
        buffer = source.buffer
        while True:
            start = source.pointer
            end = start + len(_BLANKS.match(buffer, start)[0])  # type: ignore[index]  # it matches everything
            if buffer[end] == "#":
                if start == end and start and buffer[start - 1] != "\n":
                    raise self._refuse("a comment needs a space before its '#'")
                end = buffer.find("\n", end)
                end = len(buffer) - 1 if end < 0 else end
            if buffer[end] != "\n":
                if not self.flow_level and self.allow_simple_key:
                    self._see_tab(start, end)
                source.forward(end - start)
                return
            source.forward(end + 1 - start)
            if not self.flow_level:
                self.allow_simple_key = True

    def _see_tab(self, start: int, end: int) -> None:
        """Note a tab, which separates but never indents (section 6.1): no collection or indented value may follow it."""
        buffer = self.reader.buffer
        tab = buffer.find("\t", start, end)
        if tab < 0:
            return
        self.allow_simple_key = False
        self._tab = place(buffer, tab)
        if buffer[end] != "\0" and buffer[start - 1 : start] in {"", "\n"} and tab - start <= self.indent:
            self._refuse_tab()

    def _refuse_tab(self) -> None:
        assert self._tab is not None
        raise refusal("not valid YAML: a tab cannot indent; write spaces instead", *self._tab)

    def _check_tab(self) -> None:
        if self._tab and not self.flow_level and not self.allow_simple_key and self._tab[0] == self.reader.line + 1:
            self._refuse_tab()

    def fetch_block_entry(self) -> None:
        self._check_tab()
        super().fetch_block_entry()

    def fetch_key(self) -> None:
        self._check_tab()
        super().fetch_key()

    def fetch_value(self) -> None:
        if self.flow_level not in self.possible_simple_keys:
            self._check_tab()
        super().fetch_value()

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:  # noqa: N803 - ruamel's own name
        # ruamel reads up to 1,024 characters ahead of its events, in a time that is quadratic in the brackets there
        if len(self.flow_context) >= MAX_DEPTH:
            raise too_deep(self.reader.line + 1, self.reader.column + 1)
        super().fetch_flow_collection_start(TokenClass, to_push)

    def stale_possible_simple_keys(self) -> None:
        """Drop keys that did not end on the line on which they begin, except in braces (section 7.4.2)."""
        source = self.reader
        for level, key in list(self.possible_simple_keys.items()):
            if level and self.flow_context[level - 1 : level] == ["{"]:
                scalar = self.tokens_taken + len(self.tokens) - key.token_number <= _KEY_TOKENS
                stale = not scalar and source.index - key.index > _LONGEST_KEY
            else:
                stale = key.line != source.line or source.index - key.index > _LONGEST_KEY
            if stale and key.required:
                raise refusal("not valid YAML: a key without ':'", key.line + 1, key.column + 1)
            if stale:
                del self.possible_simple_keys[level]

    def check_document_start(self) -> bool:
        return (
            self.reader.column == 0 and self.reader.buffer.startswith("---", self.reader.pointer) and self._at_marker()
        )

    def check_document_end(self) -> bool:
        return self.reader.column == 0 and self._at_marker()

    def _at_marker(self) -> bool:
        return _MARKER.match(self.reader.buffer, self.reader.pointer) is not None

    def check_block_entry(self) -> bool:
        return self.reader.peek(1) in _END_SPACE

    def check_key(self) -> bool:
        return self.reader.peek(1) in _END_SPACE

    def check_value(self) -> bool:
        following = self.reader.peek(1)
        if following in _END_SPACE or not self.flow_level:
            return following in _END_SPACE
        return following in _FLOW or self._after_json_key()

    def _after_json_key(self) -> bool:
        """Whether a quoted key or a collection precedes the ':', which then needs no space after it (section 7.4.2)."""
        if self.flow_level not in self.possible_simple_keys or not self.tokens:
            return False
        last = self.tokens[-1]
        quoted = isinstance(last, tokens.ScalarToken) and not last.plain
        return quoted or isinstance(last, tokens.FlowSequenceEndToken | tokens.FlowMappingEndToken)

    def check_plain(self) -> bool:
        first = self.reader.peek()
        if first not in "-?:":
            return first not in _NEVER_PLAIN
        return self.reader.peek(1) not in (_END_SPACE_FLOW if self.flow_level else _END_SPACE)

    # directives, anchors and tags

    def scan_directive(self) -> Any:
        source = self.reader
        if source.prefix(5) == "%YAML" and not _VERSION.match(source.buffer, source.pointer + 5):
            raise refusal("only YAML 1.2 is supported; remove this line", source.line + 1, 1)
        return super().scan_directive()

    def scan_yaml_directive_value(self, start_mark: Any) -> tuple[int, int]:
        del start_mark
        self.reader.forward(self.reader.buffer.index("1.2", self.reader.pointer) + 3 - self.reader.pointer)
        return 1, 2

    def scan_anchor(self, TokenClass: Any) -> Any:  # noqa: N803 - ruamel's own name
        start = self.reader.get_mark()
        found = _ANCHOR.match(self.reader.buffer, self.reader.pointer)
        if not found:
            raise self._refuse(
                "'&' and '*' need a name directly after them; write a text that begins with one of them in quotes"
            )
        self.reader.forward(len(found[0]))
        return TokenClass(found[1], start, self.reader.get_mark())

    def scan_tag(self) -> Any:
        start = self.reader.get_mark()
        found = _TAG.match(self.reader.buffer, self.reader.pointer)
        if not found:
            raise self._refuse("'!' begins a tag, but this is not a tag; write a text that begins with '!' in quotes")
        verbatim, handle, suffix = found.groups()
        value = (None, verbatim) if verbatim else (handle, suffix) if suffix else (None, handle)
        self.reader.forward(len(found[0]))
        if self.reader.peek() not in (_END_SPACE_FLOW if self.flow_level else _END_SPACE):
            raise self._refuse("a tag needs a space after it")
        return tokens.TagToken(value, start, self.reader.get_mark())

    # scalars (chapters 7 and 8)

    def scan_plain(self) -> Any:
        source = self.reader
        buffer, start = source.buffer, source.get_mark()
        line = _FLOW_PLAIN_LINE if self.flow_level else _PLAIN_LINE
        chunks: list[str] = []
        end, following = source.pointer, line.match(buffer, source.pointer)
        while following:
            chunks.append(following[0])
            end = following.end()
            gap = _LINE_ENDS.match(buffer, end)
            if not gap:
                break
            first = buffer.rfind("\n", 0, gap.end()) + 1
            spaces = len(buffer[first : gap.end()]) - len(buffer[first : gap.end()].lstrip(" "))
            if _MARKER.match(buffer, first) or (not self.flow_level and spaces <= self.indent):
                break
            following = line.match(buffer, gap.end())
            chunks.append(fold(gap[0]))
        else:
            chunks.pop()  # the text ends here: what follows is not a further line of it
        source.forward(end - source.pointer)
        return _scalar("".join(chunks), start, source, "")

    def scan_flow_scalar(self, style: str) -> Any:
        source = self.reader
        start = source.get_mark()
        found = (_DOUBLE if style == '"' else _SINGLE).match(source.buffer, source.pointer)
        if not found:
            raise self._refuse(f"the closing {style} of this text is missing")
        if marker := _MARKER_LINE.search(source.buffer, source.pointer, found.end()):
            raise self._refuse("a line of '---' or '...' ends the document inside a quoted text", marker.start() + 1)
        try:
            text = double_quoted(found[1]) if style == '"' else single_quoted(found[1])
        except NoSuchEscape as error:
            raise self._refuse(str(error), found.start(1) + error.offset) from None
        source.forward(len(found[0]))
        return _scalar(text, start, source, style)

    def scan_block_scalar(self, style: str, rt: object = None) -> Any:
        del rt
        source = self.reader
        start = source.get_mark()
        if source.column <= self.indent:
            raise self._refuse(f"'{style}' must be indented deeper than its key")
        header = _BLOCK_HEADER.match(source.buffer, source.pointer)
        if not header:
            raise self._refuse(f"only '+' or '-', a digit from 1 to 9 and a comment may follow '{style}' on its line")
        chomping = header[1] or header[4] or ""
        digit = header[2] or header[3]
        lines, end = self._block_lines(header.end() + 1, max(self.indent, 0) + int(digit) if digit else None)
        source.forward(end - source.pointer)
        text = literal(lines, chomping) if style == "|" else folded(lines, chomping)
        return _scalar(text, start, source, style)

    def _block_lines(self, start: int, indent: int | None) -> tuple[list[str], int]:
        """Return the lines from an offset on, without indentation, and the offset at which they end."""
        buffer = self.reader.buffer
        lines: list[str] = []
        last, deepest = len(buffer) - 1, 0
        while start < last:
            end = buffer.find("\n", start)
            end = last if end < 0 else end
            line = buffer[start:end]
            spaces = len(line) - len(line.lstrip(" "))
            if spaces == len(line):
                deepest = max(deepest, spaces)
                lines.append("" if indent is None else line[indent:])
            else:
                if indent is None and spaces > self.indent:
                    if deepest > spaces:
                        message = "a line of spaces above is indented deeper than this first line of the text"
                        raise self._refuse(message, start + spaces)
                    indent = spaces
                if indent is None or spaces < indent or (indent == 0 and _MARKER.match(buffer, start)):
                    if line[spaces] == "\t":
                        raise self._refuse("a tab cannot indent this text; write spaces instead", start + spaces)
                    break
                lines.append(line[indent:])
            start = end + 1
        return lines, min(start, last)


def _scalar(text: str, start: Any, source: Reader, style: str) -> tokens.ScalarToken:
    return tokens.ScalarToken(text, not style, start, source.get_mark(), style or None)


class Loader:
    """The object through which ruamel's reader, scanner and parser refer to each other, for one normalized text."""

    processing_version = (1, 2)
    comment_handling = None

    def __init__(self, text: str) -> None:
        self._resolver = self
        self._reader = _Source(text, loader=self)
        self._scanner = _Scanner(loader=self)


def too_deep(line: int, column: int) -> InvalidWorkflowSpec:
    """Return the error for a value that is nested too deeply."""
    return refusal(f"nested more than {MAX_DEPTH} levels deep", line, column)
