"""Count the idioms of translated prose in documentation, docstrings, comments and messages: ``python -m devstack.idioms``.

The rule: say it as the documentation of Kubernetes, Airflow or Stripe would. The actor is the subject, verbs are active, and a
sentence has one idea. The check fails above :data:`LIMIT` hits per 1,000 words and names the worst files; ``--all`` names every hit.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ROOT: Final = Path(__file__).resolve().parents[1]

LIMIT: Final = 1.0
"""The maximum number of hits per 1,000 words."""

FOLDERS: Final = ("src", "docs", "tests", "devstack", "benchmarks", "examples")
"""What is read, beside the Markdown files at the root."""

SKIPPED: Final = (
    "devstack/idioms.py",  # quotes what it looks for
    "tests/unit/devstack/test_idioms.py",
    "tests/fuzz/corpus.py",  # odd texts are its data
)

WORST_FILES: Final = 10
HITS_PER_FILE: Final = 5


@frozen
class Idiom:
    """A pattern, and what to write in its place."""

    name: str
    pattern: str
    instead: str

    def compiled(self) -> re.Pattern[str]:
        """The pattern; a space in it also fits the end of a line."""
        return re.compile(self.pattern.replace(" ", r"\s+"))


IDIOMS: Final = (
    Idiom("whoever, whatever", r"\b(who|what|when|where|whom)(so)?ever\b", "name the actor or the thing: each caller, any value"),
    Idiom("told, tells", r"\b(told|tells?|telling)\b", "reports, returns, records, logs: say what happens"),
    Idiom("so many, so long", r"\b[Ss]o (many|long|much|soon)\b", "up to N, for N seconds, while"),
    Idiom("of its own", r"\bof (ours|its own|theirs|one's own)\b", "a separate, its, custom: a lease of its own -> a separate lease"),
    Idiom("no more", r"\b(no more|any more)\b", "no longer; at most N"),
    Idiom("that is so", r"\b(is so|it so|was so|be so)\b", "repeat the fact: if the lease has expired"),
    Idiom("meanwhile", r"\bmeanwhile\b", "name the event: while the request was in progress"),
    Idiom("by itself", r"\bby (itself|themselves|himself|ourselves)\b", "automatically; or drop it"),
    Idiom("Likewise. The same.", r"(^|\. )(Likewise|The same)\b", "repeat the subject: SQLite behaves like PostgreSQL"),
    Idiom("as it is", r"\bas (it|they) (is|are|was|were)\b", "unchanged; the current value"),
    Idiom("somebody, nobody", r"\b(some|no|every|any)body\b", "caller, client, worker, another process"),
    Idiom("have it done", r"\b[Hh]ave (it|a|the|them|Airflow|every|nobody|this)\b", "the plain verb: Run it in Airflow"),
    Idiom("wish", r"\bwish(es)?\b", "desired state, request, intent"),
    Idiom(", too", r", too\b", "also, before the verb"),
)  # fmt: skip

_PATTERNS: Final = tuple((idiom, idiom.compiled()) for idiom in IDIOMS)

_WORD: Final = re.compile(r"[A-Za-z][A-Za-z'-]*")

_PYTHON_PROSE: Final = re.compile(
    r'(?P<long>"""(?:\\.|[^\\])*?"""|' + r"'''(?:\\.|[^\\])*?''')"
    r"""|(?P<short>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"|#(?P<comment>[^\n]*)",
    re.DOTALL,
)
_FENCE: Final = re.compile(r"^( *)(```|~~~).*?^\1\2[^\n]*$", re.DOTALL | re.MULTILINE)
_PARAGRAPH: Final = re.compile(r"(?:[^\n]+\n?)+")
_CODE_COMMENTS: Final = ("noqa", "type:", "fmt:", "pragma:")


@frozen
class Hit:
    """One use of an idiom."""

    file: str
    line: int
    text: str
    idiom: Idiom

    def __str__(self) -> str:
        """File and line, as editors open them."""
        return f"{self.file}:{self.line}: {self.text!r} -> {self.idiom.instead}"


@frozen
class Count:
    """Words and hits of some text."""

    words: int
    hits: tuple[Hit, ...]

    @property
    def rate(self) -> float:
        """Hits per 1,000 words."""
        return 1000 * len(self.hits) / self.words if self.words else 0.0


def count(text: str, file: str) -> Count:
    """Words and idioms of the prose of one file; its ending says whether it is Markdown or Python."""
    words = 0
    hits: list[Hit] = []
    for start, prose in markdown_prose(text) if file.endswith(".md") else python_prose(text):
        words += len(_WORD.findall(prose))
        for idiom, pattern in _PATTERNS:
            for match in pattern.finditer(prose):
                line = text.count("\n", 0, start + match.start()) + 1
                hits.append(Hit(file=file, line=line, text=" ".join(match[0].split()).lstrip(". "), idiom=idiom))
    return Count(words=words, hits=tuple(sorted(hits, key=lambda hit: hit.line)))


def markdown_prose(text: str) -> Iterator[tuple[int, str]]:
    """Paragraphs outside code blocks, each with its offset."""
    prose = _FENCE.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), text)
    for paragraph in _PARAGRAPH.finditer(prose):
        yield paragraph.start(), paragraph[0]


def python_prose(text: str) -> Iterator[tuple[int, str]]:
    """Comments, docstrings and string literals of more than one word, each with its offset."""
    for match in _PYTHON_PROSE.finditer(text):
        if match["long"] is not None:
            yield match.start() + 3, match[0][3:-3]
        elif match["short"] is not None:
            if " " in match[0]:
                yield match.start() + 1, match[0][1:-1]
        elif not match["comment"].strip().startswith(_CODE_COMMENTS):
            indent = len(match["comment"]) - len(match["comment"].lstrip())
            yield match.start("comment") + indent, match["comment"].lstrip()


def files(root: Path = ROOT) -> Iterator[Path]:
    """Every file with prose, in order of paths."""
    found = [*root.glob("*.md")]
    for folder in FOLDERS:
        found += [path for ending in ("py", "md") for path in (root / folder).rglob(f"*.{ending}")]
    for path in sorted(found):
        if path.relative_to(root).as_posix() not in SKIPPED:
            yield path


def count_files(paths: Iterable[Path], root: Path = ROOT) -> Count:
    """The sum over files."""
    counts = [count(path.read_text(encoding="utf-8"), path.relative_to(root).as_posix()) for path in paths]
    return Count(words=sum(part.words for part in counts), hits=tuple(hit for part in counts for hit in part.hits))


def report(counted: Count, *, every_hit: bool = False) -> str:
    """The figures, and the hits of the worst files."""
    by_idiom = Counter(hit.idiom.name for hit in counted.hits)
    by_file = Counter(hit.file for hit in counted.hits)
    lines = [f"{len(counted.hits)} idioms in {counted.words} words: {counted.rate:.2f} per 1,000, limit {LIMIT}"]
    lines += [f"  {number:5} {name}" for name, number in by_idiom.most_common()]
    for file, number in by_file.most_common(None if every_hit else WORST_FILES):
        lines.append(f"{file}: {number}")
        hits = [hit for hit in counted.hits if hit.file == file]
        lines += [f"  {hit}" for hit in (hits if every_hit else hits[:HITS_PER_FILE])]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure; with ``--all``, or above the limit, also where the hits are."""
    every_hit = "--all" in (sys.argv[1:] if arguments is None else arguments)
    counted = count_files(files())
    text = report(counted, every_hit=every_hit)
    too_many = counted.rate > LIMIT
    print(text if too_many or every_hit else text.partition("\n")[0])
    return int(too_many)


if __name__ == "__main__":
    sys.exit(main())
