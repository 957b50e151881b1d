"""Read every case of a checkout of the YAML test suite (https://github.com/yaml/yaml-test-suite): ``make yaml-suite SUITE=path``.

A case of the suite is a text, and the JSON that it stands for or the word that it is an error. The suite is no part of this project.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.yaml_readers import REFUSED, ours, theirs
from workflow_core.errors import InvalidWorkflowSpec

if TYPE_CHECKING:
    from collections.abc import Iterator


def main(suite: Path) -> int:
    """Print a line for each case that is not read as the suite says, and the counts; 1 if one of them was read as something else."""
    counts: Counter[str] = Counter()
    for name, text, expected in _cases(suite):
        outcome, detail = _read(text, expected)
        counts[outcome] += 1
        if detail:
            print(f"{name}: {outcome}: {detail}")
    for outcome, count in sorted(counts.items()):
        print(f"{count:5} {outcome}")
    return 1 if counts["READ AS SOMETHING ELSE"] or counts["REFUSED WITHOUT A REASON OF THE LIST"] or not counts else 0


def _read(text: str, expected: str | None) -> tuple[str, str]:
    """Return the outcome of a text and its details. ``expected`` is JSON, empty if the suite has none, None if the text is an error."""
    try:
        read = ours(text)
    except InvalidWorkflowSpec as error:
        return _refused(str(error), expected)
    if expected is None:
        return "read, though an error of the suite", repr(read)
    if not expected:
        return "read, without JSON in the suite", ""
    value = json.loads(expected)
    if _plain(read) == _plain(value):
        return "read as the suite says", ""
    return "READ AS SOMETHING ELSE", f"{read!r}, not {value!r}"


def _refused(message: str, expected: str | None) -> tuple[str, str]:
    if expected is None:
        return "refused, as an error of the suite", ""
    if any(reason in message for reason in REFUSED):
        return "refused for a reason of the list", message
    return "REFUSED WITHOUT A REASON OF THE LIST" if expected else "refused, without JSON in the suite", message


def _plain(data: Any) -> str:
    return json.dumps(data, sort_keys=True)


def _cases(suite: Path) -> Iterator[tuple[str, str, str | None]]:
    """Name, text and expected JSON of each case. A case that leaves a field out has that of the case before it."""
    for file in sorted((suite / "src").glob("*.yaml")):
        fields: dict[str, Any] = {}
        for number, case in enumerate(theirs(file.read_text(encoding="utf-8"))):
            fields = {**fields, "fail": False, **case}
            if not fields.get("skip"):
                yield (
                    f"{file.stem}/{number:02}",
                    _text(fields["yaml"]),
                    None if fields["fail"] else fields.get("json") or "",
                )


def _text(shown: str) -> str:
    """The text of a case, in which the suite shows white space and line ends by other characters."""
    text = re.sub("—*»", "\t", shown.replace("␣", " "))
    text = text.replace("⇔", "\ufeff").replace("↵", "").replace("←", "\r")
    return re.sub("∎\n$", "", text)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
