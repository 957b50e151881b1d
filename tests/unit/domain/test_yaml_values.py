"""What a value of a spec means, and what the service writes: the same to readers of YAML 1.1 and of 1.2."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.yaml_readers import ours, theirs
from workflow_core.domain.spec import complete, parse_spec
from workflow_core.domain.spec.write import block, flow, scalar
from workflow_core.errors import InvalidWorkflowSpec
from workflow_entrypoints.cli.output import Format, print_data

SPEC = "version: v1\nname: t.x\nowner: o@x.y\nschedule: {cron: '0 6 * * *'}\ntasks:\n  - task_id: a\n    operator: bash\n    bash_command: "


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (">\n      cd /tmp\n      && ls -d /tmp\n", "cd /tmp && ls -d /tmp\n"),
        (">-\n      a\n      b\n\n      c\n", "a b\nc"),
        (">+\n      a\n        b\n      c\n\n", "a\n  b\nc\n\n"),
        (">2-  # why\n       a\n      b\n", " a\nb"),
        (">\r\n      a\r\n      b\r\n", "a b\n"),
        ('"a\\ab"\n', "a\ab"),
        ("|\n      a\u2028b\u0085c\n", "a\u2028b\u0085c\n"),
        ('"a\u2028b\u0085c"\n', "a\u2028b\u0085c"),
        ("a\u2028b\u0085c\n", "a\u2028b\u0085c"),
        ('"\\ud83d\\ude00 \\u00e9"\n', "\U0001f600 é"),
        ("a\t# comment\n", "a"),
    ],
)
def test_a_command_is_what_yaml_says(written, meant):
    """Folds, exotic characters, surrogate pairs and tabs reach the operator as the specification of YAML has them."""
    assert parse_spec(SPEC + written).tasks[0].arguments["bash_command"] == meant


@pytest.mark.parametrize("style", [">", ">-", ">+", ">2", "|", "|-"])
def test_completing_leaves_every_command_as_it_was(style):
    """The stored text of a spec holds the value that the user's text had."""
    before = SPEC + f"{style}\n      one\n      two\n\n       three  \n      four\n"
    after = parse_spec(complete(before, {"name": "a.t.x", "team": "NO", "description": "d"}))
    assert after.tasks == parse_spec(before).tasks
    assert (after.name, after.team, after.description) == ("a.t.x", "NO", "d")


def test_a_file_with_line_ends_of_another_system_is_stored_with_line_feeds():
    """No carriage return stays behind a comment, whether something is set or not."""
    text = "version: v1 # x\r\nname: a\r\n# y\r\nowner: o # z\r\ntasks: []\r\n"
    for values in ({}, {"owner": "o"}, {"owner": "p"}, {"team": "t"}):
        assert "\r" not in complete(text, values)
    assert complete(text, {"owner": "p"}) == "version: v1 # x\nname: a\n# y\nowner: p # z\ntasks: []\n"


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ('a: "x\\qy"', 1, 6, r"'\\q' is not an escape of YAML; write '\\\\' for a backslash"),
        ('a: "\\ud83d"', 1, 4, "lone surrogate"),
        ('a: "\\ud83d\\u0041"', 1, 4, "lone surrogate"),
        ('a: "\\ude00\\ud83d"', 1, 4, "lone surrogate"),
        ('a: "\\UFFFFFFFF"', 1, 5, "is not an escape of YAML"),
        ('a: "\\x4"', 1, 5, "is not an escape of YAML"),
        ("a: x\x07y", 1, 5, "U\\+0007 is not allowed; write it as an escape in double quotes"),
        ("b: 1\na: x\x7fy", 2, 4, "U\\+007F, which is not allowed without quotes"),
        ("a: x\ufeff", 1, 4, "U\\+FEFF, which is not allowed without quotes"),
        ("a: 'b", 1, 4, "the closing ' of this text is missing"),
        ('a: "b\n---\nc"', 2, 1, "ends the document inside a quoted text"),
        ("a: |0\n b", 1, 4, "a digit from 1 to 9"),
        ("a: > b\n", 1, 4, "may follow '>' on its line"),
        ("a: |\n   \n b", 3, 2, "a line of spaces above is indented deeper"),
        ("a:\n|\n b", 2, 1, "must be indented deeper than its key"),
        ("a: 'b'# c", 1, 7, "a comment needs a space before its '#'"),
        ("a: & b", 1, 4, "need a name directly after them"),
        ("404: b", 1, 1, "the key '404' is not a text, as keys must be; write it in quotes"),
        ("a: {true: b}", 1, 5, "write it in quotes"),
        ("a: .inf", 1, 4, "'.inf' is not a number: JSON has no such number"),
        ("a: 1e400", 1, 4, "out of range"),
        ("a: " + "1" * 1001, 1, 4, "more than 1000 digits"),
        ("%YAML 1.1\n---\na: b", 1, 1, "only YAML 1.2 is supported"),
        ("a: b\n--- c", 2, 1, "a second document begins here; one file is one workflow"),
    ],
)
def test_what_has_no_meaning_is_refused_with_its_place_and_the_fix(text, line, column, message):
    """A value that YAML 1.2 or JSON does not have is refused, never read as another one."""
    with pytest.raises(InvalidWorkflowSpec, match=message) as caught:
        ours(text)
    assert (caught.value.problems[0].line, caught.value.problems[0].column) == (line, column)


def test_a_value_that_is_missing_has_its_own_place():
    """A finding about an empty value points behind its own key, not at the next one."""
    with pytest.raises(InvalidWorkflowSpec) as caught:
        parse_spec("version:\nname: a\n")
    assert (caught.value.problems[0].line, caught.value.problems[0].column) == (1, 9)


@pytest.mark.parametrize(
    ("text", "values", "completed"),
    [
        ("version: v1\nowner:\nname: a\n", {"owner": "o"}, "version: v1\nowner: o\nname: a\n"),
        (
            "version: v1\nowner: > # who\n  a\n  b\n\nname: a\n",
            {"owner": "o"},
            "version: v1\nowner: o # who\n\nname: a\n",
        ),
        ("version: v1\nowner: 'a\n\n  b'   # who\n", {"owner": "o"}, "version: v1\nowner: 'o'   # who\n"),
        ("{version: v1, owner: }", {"owner": "o", "team": "t"}, "{version: v1, owner: o, team: t }\n"),
        ('{"version": "v1"\n}', {"owner": "o"}, '{"version": "v1", owner: o\n}\n'),
        ("{version: v1, name}", {"name": "o"}, "{version: v1, name: o}\n"),
        ("a: &x b # c\nd: *x # e\n", {"a": "o"}, "a: o    # c\nd: b # e\n"),
        ("a: &x b\nd: *x\n", {"d": "o"}, "a: &x b\nd: o\n"),
        ("s: &x\n  c: d # e\nf: [*x]\n", {"s": {"g": "h"}}, "s: &x\n  c: d # e\n  g: h\nf: [{c: d}]\n"),
        ("f: &x {c: d}\ns: *x\n", {"s": {"g": "h"}}, "f: &x {c: d}\ns: {c: d, g: h}\n"),
        ("a: b # c\n# d", {"t": "on"}, "a: b # c\nt: 'on'\n# d\n"),
        ("a: |+\n  b\n\n", {"t": "u"}, "a: |+\n  b\n\nt: u\n"),
        ("--- # c\na: b\n...\n", {"t": "u"}, "--- # c\na: b\nt: u\n...\n"),
        ("? a\n? b\n: c\n", {"a": "d"}, "a: d\nb: c\n"),
    ],
)
def test_completing_keeps_every_character_but_the_values(text, values, completed):
    """Comments, quotes, anchors and blank lines stay; an alias of what changes is written out."""
    assert complete(text, values) == completed


AMBIGUOUS = (
    "NO", "no", "Yes", "y", "N", "on", "Off", "true", "FALSE", "null", "Null", "~", "", "12:30:45", "1:30", "190:20:30.15", "1_000", "0b1", "010", "0o10", "0x1F", "1e3", "1.5", ".5", "+1", "-",
    "2026-01-01", "2026-01-01T10:00:00Z", "2001-12-14 21:59:43.10 -5", "=", "<<", ".inf", ".NaN", "a: b", "a #b", "a:", " a", "a ", "- a", "? a", "[a]", "{a}", "&a", "*a", "!a", "%a", "@a", "`a", "|", ">",
    "'", '"', "a'b", 'a"b', "#a", "a\nb", "a\nb\n", "\na", "a\n\n", "  a\nb", "a\n  \nb", "a\tb", "\t", "a\rb", "\x85", "\u2028x", "\ufeff", "\x07", "\x7f", "\U0001f600", "é", "\U000e0001", "---", "...", "a,b", "\\", "k" * 1500,
)  # fmt: skip


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_a_text_is_written_so_that_every_reader_takes_it_for_one(text):
    """As a value, a key, an item, and in a stored spec: quotes stand where YAML 1.1 or 1.2 would read another type."""
    data = {"value": text, text: ["x", text, {text: text}], "deep": [[text], {"a": {"b": text}}]}
    for written in (block(data), flow(data)):
        assert yaml.safe_load(written) == theirs(written) == ours(written) == data
    for quote in ("", "'", '"'):
        line = f"a: {scalar(text, quote=quote)}\n"
        assert yaml.safe_load(line) == theirs(line) == ours(line) == {"a": text}
    stored = complete("version: v1\nname: n\n", {"owner": text})
    assert yaml.safe_load(stored)["owner"] == theirs(stored)["owner"] == ours(stored)["owner"] == text


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    AMBIGUOUS[:-1]
)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)


@given(DATA)
@settings(max_examples=200, deadline=None)
def test_whatever_is_written_reads_back_in_every_version(data):
    """Any data, in blocks and on one line, to a reader of YAML 1.1, an independent one of YAML 1.2, and the project's own."""
    for written in (block(data), flow(data)):
        for read in (yaml.safe_load, theirs, ours):
            assert json.dumps(read(written)) == json.dumps(data)


def test_yaml_output_is_written_by_these_rules(capsys):
    """``-o yaml`` quotes what YAML 1.1 reads otherwise, and shows a text of several lines as lines."""
    print_data(
        {"owner": "NO", "at": "12:30:45", "yaml": "a: b\nc: d\n", "none": None, "list": [], "big": 1e16}, Format.YAML
    )
    assert capsys.readouterr().out == (
        "owner: 'NO'\nat: '12:30:45'\nyaml: |\n  a: b\n  c: d\nnone: null\nlist: []\nbig: 1.0e+16\n"
    )
