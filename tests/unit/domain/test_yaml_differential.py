"""Each scalar and block style of YAML 1.2 (chapters 6 to 8), read by the project and by an independent reader."""

from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.yaml_readers import ours, same, theirs
from workflow_core.domain.spec import complete
from workflow_core.errors import InvalidWorkflowSpec

BLOCK_LINES = (
    ("one",),
    ("one", "two"),
    ("one", "", "two"),
    ("one", "", "", "two"),
    ("one", "  deeper", "two"),
    ("one", "", "  deeper", "", "two"),
    ("one", " ", "two"),
    ("one", "\ttab", "two"),
    ("", "one"),
    ("", "", "one", "two"),
    ("one", ""),
    ("one", "", ""),
    ("one  ", "two \t"),
    ("# no comment", "- a", "b: c", "'x' \"y\""),
    ("one\u2028two\u0085three\u2029", "four"),
    ("\U0001f600 é", "\\n %x @ ` ! & *"),
    ("--- a", "... b"),
    (),
    ("", ""),
)
DEEPER_LINES = (("  one", "two"), (" one", " two", "three"), ("", "  one", "two"), ("\tone", "two"))
INDICATED = [(lines, digit) for lines, digit in product(BLOCK_LINES, ("", "2"))] + [
    (lines, "2") for lines in DEEPER_LINES
]


PLACES = (("a: ", "  ", ""), ("a:\n- ", "  ", ""), ("a:\n  b: ", "    ", "  "))


@pytest.mark.parametrize("chomping", ["", "-", "+"])
@pytest.mark.parametrize("style", ["|", ">"])
@pytest.mark.parametrize(("lines", "digit"), INDICATED)
def test_block_scalars_mean_the_same_to_both_readers(lines, digit, style, chomping):
    """Style, chomping, indentation and content in every combination, as a value, as an item, and one level deeper."""
    for head, indent, outer in PLACES:
        body = "".join(f"{indent}{line}\n" if line else "\n" for line in lines)
        text = f"{head}{style}{digit}{chomping}  # a comment\n{body}{outer}z: last\n"
        assert same(text), (text, ours(text))


FLOW = (
    "word", "two words", "two\n  lines", "two\n\n  lines", "three\n\n\n  lines", "a\n  \tb", "a \t\n   b", "a#b", "a:b", "http://x/y?z=1&q", "-a", "?a", ":a",
    "a -b", "x?y", "a'b\"c", "é\U0001f600", "a\u2028b\u0085c", "a %b @c `d !e *f &g |h >i", "- ", "''", "' '", "'it''s'", "'a\n  b'", "'a\n\n  b'", "' a \n  b '",
    "'a\\nb'", "'# x: y'", "'a \t\n \t b'", '""', '" "', '"a\\tb"', r'"\0\a\b\t\n\v\f\r\e\"\/\\\N\_\L\P"'.replace(r"\0", ""), r'"\x41\u263A\U0001F600"', '"a\n  b"',
    '"a\n\n  b"', '"a\\\n  b"', '"a \\\n  b"', '"a\\\n\n  b"', '"a\\\n  \\ b"', '"a\\ \n  b"', '" a \n b "', '"a\\\tb"', '"\ttab\t"', '"\x7f\x9f\ufeff"', "'\x7f\x9f\ufeff'",
    "!!str 12", "!!str", "&x y", '&x "y"', "!!str &x 1", "[]", "{}", "[a, b]", "[a, b,]", "{a: b}", "{a: b,}", '{"a":b}', '["a":b]', "[a: b]", "{a}", "{a: }", "{? a : b}",
    "[a b, c d]", "[ 'a' , \"b\" ]", "[a,\n  b]", "{a: b,\n  # comment\n  c: d}", "[[a, [b]], {c: {d: e}}]", "[a\n  b, c]", "{a\n  b: c}", '{"a"\n  : b}', "{a: [b, c], d: e}",
    "[-1, - 1]", "[a#b, c]", "{a: -, b: c}", "[http://x/y, a:b]", "{a: 'b',c: \"d\"}", "[?a, ?b]", "{?a: b}", "[::, a]",
)  # fmt: skip


@pytest.mark.parametrize("scalar", FLOW)
def test_flow_styles_mean_the_same_to_both_readers(scalar):
    """Plain, quoted and bracketed values over one line and more, in each place in which a value may stand."""
    for place in ("a: {}\nz: last\n", "- {}\n- last\n", "a:\n  {}\nz: last\n", "a: \t{}\t# comment\nz: last\n"):
        text = place.replace("{}", scalar)
        assert same(text), (text, ours(text))


WORDS = (
    "0", "-0", "+0", "1", "-1", "+1", "012", "-012", "0o0", "0o17", "0o8", "0O7", "-0o7", "0x1F", "0xfg", "-0x1", "0X1", "0b11", "1_000", "2026_01_02", "0x1_0", "-_", "._", "_1",
    "1.", "1.5", ".5", "-.5", "+.5", ".", "-", "+", "..", "1.2.3", "1e3", "1E3", "1e+3", "1e-3", "12e03", "1.e3", ".5e1", "1e", "e3", "1.5e", "-0.0", "0.1", "1,000", "1 000",
    ".inf", "-.inf", "+.Inf", ".INF", ".iNF", ".nan", ".NaN", "-.nan", "inf", "nan", "true", "True", "TRUE", "tRUE", "false", "False", "FALSE", "yes", "Yes", "no", "NO", "on",
    "off", "y", "n", "Y", "N", "~", "null", "Null", "NULL", "nULL", "", "~~", "none", "12:30", "12:30:45", "1:30", "190:20:30.15", "2026-01-01", "2026-02-30", "2026-1-2",
    "2026-01-01T10:00:00Z", "2026-01-01 10:00:00", "=", "0x", "0o", "١٢", "½", "1\u00a0", "9007199254740993", "1e308", "5e-324", "1e999",
)  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_plain_words_mean_the_same_to_both_readers(word):
    """The core schema decides about each plain word, wherever it stands."""
    for before, behind in (("a: ", "\nz: 1\n"), ("a: [", "]\n"), ("a: {b: ", "}\n"), ("- ", "\n- z\n")):
        text = before + word + behind
        assert same(text), (text, ours(text))


@pytest.mark.parametrize("word", WORDS)
def test_a_key_that_is_no_text_is_refused(word):
    """A key means the text that stands there, or is refused: JSON has no other keys."""
    text = f"{word}: x\n"
    try:
        assert list(ours(text)) == [word] == list(theirs(text))
    except InvalidWorkflowSpec:
        assert not isinstance(theirs(text), dict) or not isinstance(next(iter(theirs(text))), str)


STRUCTURE = (
    "a:\n- b\n- c\n", "a:\n  - b\n  -\n    c\n", "- - a\n  - b\n- - c\n", "- a: b\n  c: d\n- e: f\n", "? a\n: b\n? c\n", "a:\nb:\n", "a: # c\n  # d\n  b # e\n# f\nc: d\n",
    "---\na: b\n", "--- # x\na: b\n...\n", "%YAML 1.2\n---\na: b\n", "%FOO bar\n---\na: b\n", "a: &x {b: c}\nd: *x\n", "a: &x b\n*x : c\n", "a: &x\n  b: c\nd: *x\n", "&x a: b\nc: *x\n",
    "a : b\n'c' : d\n\"e\"\t: f\n", "a:\n  b:\n    c:\n      d\n  e: f\n", "a: b\n\n\n\nc: d\n", "a: b \nc: d\t\n \t\ne: f\n\t\n", "a: b\t# c\n\t# d\ne: \tf\n", "a:\n \tb\nc: d\n",
    "\ta\n", "\t{a: b}\n", "-\ta\n- \tb\n", "a: [b,\n\tc]\n", "a: b\n# \u2028 \u0085 comment\nc: d\n", "{a: b, c: d}\n", '{"a": [1, {"b": null}], "c": "d"}\n', "[a,\n# x\nb]\n",
    "a\nb\n  c\n", "'a\n b'\n", "|\na\n b\n", ">\na\n b\n", "--- |\n  a\n", "--- >-\na\nb\n", "a: >\n  b\n  c\n\n# x\nd: e\n", "a: |\n  b\n # x\nc: d\n", "- |\n a\n- >\n b\n", "a: !!str\n  b\n",
    "a: 'b'\nb: \"c\"\n", "a:\r\n  - b\r\n  - |\r\n    c\r\n    d\r\ne: f # g\r\n", "a: b\rc: d\r", "a: 'b\r\n  c'\r\n", 'a: "b\\\r\n  c"\r\n', "a: b\r\n\r\n  c\r\n", "a: |\n  b", "a: >\n  b\n  c",
)  # fmt: skip


@pytest.mark.parametrize("text", STRUCTURE)
def test_structures_mean_the_same_to_both_readers(text):
    """Indentation, white space, comments, directives, anchors, and line ends of each system."""
    assert same(text), (text, ours(text))


@pytest.mark.parametrize(
    "text",
    [
        "a:\n\tb: c\n",
        "a:\n\t- b\n",
        "-\t- a\n",
        "- \ta: b\n",
        "?\t- a\n",
        "a:\n  b: c\n\td: e\n",
        "a:\n\tb\n",
        "a: |\n\tb\n",
        "a: |\n  b\n\tc\n",
        "\ta: b\n",
    ],
)
def test_a_tab_never_indents(text):
    """A tab where YAML asks for indentation is refused at its place, with the fix."""
    with pytest.raises(InvalidWorkflowSpec, match="write spaces instead") as caught:
        ours(text)
    found = caught.value.problems[0]
    assert found.line is not None
    assert found.column is not None
    assert text.split("\n")[found.line - 1][found.column - 1] == "\t"


LINE = st.text(st.sampled_from("ab c:#-'\"\\,[]{}&*!|>%@`?\t\u2028\u0085é\U0001f600~01_.x=<"), max_size=8)
QUOTED = st.text(st.sampled_from("ab '\"\\\n\t:#,é\u2028\u0085\U0001f600\x07\x7f\x9f\ue000"), max_size=12)


@st.composite
def block_scalars(draw) -> str:
    """A block scalar that YAML 1.2 allows, whose first line decides about its indentation unless a digit does."""
    style, chomping = draw(st.sampled_from("|>")), draw(st.sampled_from(["", "-", "+"]))
    lines = draw(st.lists(st.one_of(st.just(""), LINE, st.builds("  {}".format, LINE)), min_size=1, max_size=6))
    digit = draw(st.sampled_from(["", "2"]))
    first: str = next((line for line in lines if line), "")
    if first[:1] in {" ", "\t"} or any(line and not line.strip(" ") for line in lines):
        digit = "2"
    return f"{style}{digit}{chomping}\n" + "".join(f"    {line}\n" if line else "\n" for line in lines).rstrip("\n")


@st.composite
def double_quoted(draw) -> str:
    """A double-quoted text with escapes and folded lines."""
    parts = st.sampled_from([
        "a", "b c", " ", "\t", "'", "é", "\U0001f600", "\u2028", "\\n", "\\t", "\\\\", '\\"', "\\/", "\\x41", "\\u263a", "\\U0001F600", "\\N", "\\_", "\\L", "\\P", "\\e", "\\a", "\\ ",
        "\n    ", "\n\n    ", "\\\n    ", " \\\n    ", "\n    \t ", "# ", ": ",
    ])  # fmt: skip
    return '"' + "".join(draw(st.lists(parts, max_size=8))) + '"'


@st.composite
def single_quoted(draw) -> str:
    """A single-quoted text with folded lines."""
    parts = st.sampled_from(
        [
            "a",
            "b c",
            " ",
            "\t",
            "''",
            '"',
            "\\n",
            "\\",
            "é",
            "\u2028",
            "\n    ",
            "\n\n    ",
            "\n    \t ",
            "# ",
            ": ",
            ", ",
            "]",
            "- ",
        ]
    )
    return "'" + "".join(draw(st.lists(parts, max_size=8))) + "'"


@st.composite
def plain(draw) -> str:
    """Plain words over one line and more."""
    words = st.sampled_from(
        [
            "a",
            "b:c",
            "d#e",
            "-f",
            "g",
            "'h'",
            '"',
            "1_0",
            "é",
            "i\u2028j",
            "k\\",
            "~",
            "0x1f",
            "l?",
            "[m]",
            "n,o",
            "{p}",
        ]
    )
    gaps = st.sampled_from([" ", "  ", "\t", "\n    ", "\n\n    ", " \t\n   \t ", "\n   \n     "])
    first: str = draw(st.sampled_from(["a", "-a", "?b", ":c", "1", "0o7", "no"]))
    rest = draw(st.lists(st.tuples(gaps, words), max_size=5))
    return first + "".join(gap + word for gap, word in rest)


SCALARS = st.one_of(block_scalars(), double_quoted(), single_quoted(), plain())


@given(st.lists(SCALARS, min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_scalars_of_every_style_mean_the_same_to_both_readers(scalars):
    """Whatever is made of escapes, folds, chomping and indentation, both readers read the same."""
    text = "".join(f"k{number}:\n  x: {scalar}\n" for number, scalar in enumerate(scalars)) + "z: last\n"
    assert same(text), (text, ours(text))


VALUES = st.fixed_dictionaries(
    {
        "name": st.just("a.b"),
        "owner": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12),
    },
    optional={"team": QUOTED, "description": QUOTED, "schedule": st.just({"cron": "0 6 * * *", "timezone": "UTC"})},
)


@given(st.lists(SCALARS, max_size=4), SCALARS, VALUES, st.sampled_from(["\n", "\r\n", "\r"]))
@settings(max_examples=100, deadline=None)
def test_completing_changes_the_given_values_alone(scalars, owner, values, line_end):
    """The completed text has the values that were set, and all others unchanged, in every style and with every line end."""
    fields = "".join(f"k{number}: {scalar}\n" for number, scalar in enumerate(scalars))
    text = f"version: v1\nname: a\nowner: {owner}\nschedule:\n  cron: x # y\n{fields}"
    before = ours(text)
    completed = complete(text.replace("\n", line_end), values)
    after = ours(completed)
    schedule = before["schedule"] | values.get("schedule", {})
    assert after == before | values | {"schedule": schedule}
    assert "\r" not in completed


TEXTS = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.booleans(), st.sampled_from([None, 2, "\t"]))
@settings(max_examples=100, deadline=None)
def test_json_is_yaml(data, ascii_only, indent):
    """What ``json.dumps`` writes reads as the same data, but for the NUL character, which no database holds."""
    text = json.dumps(data, ensure_ascii=ascii_only, indent=indent)
    if "\\u0000" in text:
        with pytest.raises(InvalidWorkflowSpec, match="NUL"):
            ours(text)
    else:
        assert repr(ours(text)) == repr(data)
