"""The check of the language: which text is read, what counts, and when it fails."""

from __future__ import annotations

import pytest

from devstack import idioms

EXAMPLES = {
    "whoever, whatever": "for whoever asks",
    "told, tells": "the worker is told",
    "so many, so long": "so long after it",
    "of its own": "a lease of its own",
    "no more": "it is needed no more",
    "that is so": "where it is so",
    "meanwhile": "ended meanwhile",
    "by itself": "it ends by itself",
    "Likewise. The same.": "Likewise",
    "as it is": "left as it is",
    "somebody, nobody": "nobody waits",
    "have it done": "Have Airflow run it",
    "wish": "the wish to stop",
    ", too": "and the client, too",
}


@pytest.mark.parametrize("idiom", idioms.IDIOMS, ids=lambda idiom: idiom.name)
def test_each_idiom_is_found_once_and_has_a_suggestion(idiom):
    """One example of each, in Markdown and in a docstring, is a hit of that idiom alone."""
    example = EXAMPLES[idiom.name]
    for file, text in (("page.md", f"{example}\n"), ("code.py", f'"""{example}"""\n')):
        (hit,) = idioms.count(text, file).hits
        assert (hit.idiom, hit.line) == (idiom, 1)
        assert idiom.instead


def test_plain_english_has_no_hit():
    """Words that contain a pattern, and sentences of the field, do not count."""
    text = "The worker polls Airflow every five seconds. Callers authenticate with a bearer token. Nothing is retold."
    counted = idioms.count(text, "page.md")
    assert (counted.words, counted.hits, counted.rate) == (16, (), 0.0)


def test_code_is_not_prose():
    """Names, one-word strings and code blocks are not counted; comments and messages are."""
    code = "told = 'told'\n# nobody waits\nraise ValueError('somebody came')  # noqa: S101 - told\n"
    assert [(hit.line, hit.text) for hit in idioms.count(code, "code.py").hits] == [(2, "nobody"), (3, "somebody")]
    page = "Before.\n\n```python\ntold = 1\n```\n\nnobody\n"
    assert [(hit.line, hit.text) for hit in idioms.count(page, "page.md").hits] == [(7, "nobody")]


def test_an_idiom_may_be_broken_over_two_lines():
    """The line of its first word is reported."""
    (hit,) = idioms.count('"""\nIt is needed no\n    more.\n"""', "code.py").hits
    assert (hit.line, hit.text) == (2, "no more")


def test_a_quote_in_a_comment_opens_no_string():
    """The text after it is still code."""
    counted = idioms.count("# Airflow's run\ntold = 1\nother = 'told by nobody'\n", "code.py")
    assert {(hit.line, hit.text) for hit in counted.hits} == {(3, "nobody"), (3, "told")}


def test_the_report_names_the_worst_files_first(tmp_path):
    """With the rate per 1,000 words, and file, line and suggestion of each hit."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("nobody\n", encoding="utf-8")
    (tmp_path / "docs" / "page.md").write_text("One.\nTwo told, somebody.\n", encoding="utf-8")
    text = idioms.report(idioms.count_files(idioms.files(tmp_path), tmp_path), every_hit=True)
    assert text.startswith("3 idioms in 5 words: 600.00 per 1,000")
    assert text.index("docs/page.md: 2") < text.index("README.md: 1")
    assert "docs/page.md:2: 'told' -> reports" in text


@pytest.mark.parametrize(("limit", "code"), [(0.0, 1), (1000.0, 0)])
def test_the_check_fails_above_the_limit(monkeypatch, capsys, tmp_path, limit, code):
    """At or below it, one line says the figure."""
    page = tmp_path / "page.md"
    page.write_text("nobody waits\n", encoding="utf-8")
    monkeypatch.setattr(idioms, "LIMIT", limit)
    monkeypatch.setattr(idioms, "files", lambda: [page])
    monkeypatch.setattr(idioms, "count_files", lambda paths: idioms.count(next(iter(paths)).read_text(), "page.md"))
    assert idioms.main([]) == code
    assert (len(capsys.readouterr().out.splitlines()) > 1) == bool(code)


def test_the_tree_is_below_the_limit():
    """Documentation, code and tests are written in plain English."""
    counted = idioms.count_files(idioms.files())
    assert counted.words > 100_000
    assert counted.rate <= idioms.LIMIT, idioms.report(counted)
