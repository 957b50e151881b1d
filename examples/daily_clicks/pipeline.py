"""Clicks per page and region for one day, in five steps that Airflow runs as five tasks.

``extract -> validate -> aggregate -> load -> report``. Each step reads the file that the one before it wrote and replaces its own, so that any step, and
the whole day, may run again with the same result. Standard library only; the table is in SQLite.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
from collections import Counter, defaultdict
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FIELDS = ("time", "event_id", "user", "page", "region", "dwell_ms")
REGIONS = frozenset({"US", "EU", "APAC"})
MAX_BAD_SHARE = 0.2
DATA = Path(__file__).parent / "data" / "clicks.log"


class StepFailedError(Exception):
    """The step cannot do its work; the message says why."""


class Day:
    """The files of one date."""

    def __init__(self, out: Path, day: date) -> None:
        self.date = day.isoformat()
        self.work = out / "work" / self.date
        self.raw = self.work / "raw.log"
        self.clean = self.work / "clean.jsonl"
        self.rejected = self.work / "rejected.tsv"
        self.totals = self.work / "totals.json"
        self.warehouse = out / "warehouse.db"
        self.report = out / "reports" / f"{self.date}.txt"
        self.report_json = self.report.with_suffix(".json")


def extract(day: Day, data: Path) -> str:
    """Take the date's lines out of the log. A line without a readable date belongs to the day of the line before it."""
    taken: list[str] = []
    current = ""
    with data.open(encoding="utf-8") as log:
        for line in log:
            current = line[:10] if _date_of(line) else current
            if current == day.date:
                taken.append(line)
    if not taken:
        msg = f"{data} has no line for {day.date}"
        raise StepFailedError(msg)
    replace(day.raw, taken)
    return f"{len(taken)} lines of {day.date} extracted"


def validate(day: Day, _data: Path) -> str:
    """Part the good lines from the bad, each bad one with its reason; fail if too many are bad."""
    seen: set[str] = set()
    good: list[str] = []
    bad: list[str] = []
    for line in before(day.raw, "extract"):
        fields = line.rstrip("\n").split("\t")
        reason = why_bad(fields, seen)
        if reason:
            bad.append(f"{reason}\t{line}")
        else:
            seen.add(fields[1])
            good.append(json.dumps(dict(zip(FIELDS, fields, strict=True))) + "\n")
    share = len(bad) / (len(good) + len(bad))
    if share > MAX_BAD_SHARE:
        msg = f"{share:.0%} of the lines of {day.date} are bad; at most {MAX_BAD_SHARE:.0%} are accepted"
        raise StepFailedError(msg)
    replace(day.rejected, bad)
    replace(day.clean, good)
    return f"{len(good)} lines accepted, {len(bad)} rejected"


def why_bad(fields: list[str], seen: set[str]) -> str | None:
    """The first reason to reject a line; None for a good one."""
    if len(fields) != len(FIELDS):
        return "cut off"
    if not _date_of(fields[0]):
        return "no such time"
    if not fields[2]:
        return "no user"
    if fields[4] not in REGIONS:
        return "unknown region"
    if not fields[5].isdecimal():
        return "bad dwell time"
    return "sent twice" if fields[1] in seen else None


def aggregate(day: Day, _data: Path, region: str = "") -> str:
    """Count clicks, users and dwell time for each page and region."""
    clicks: Counter[tuple[str, str]] = Counter()
    dwell: Counter[tuple[str, str]] = Counter()
    users: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for line in before(day.clean, "validate"):
        event = json.loads(line)
        if region and event["region"] != region:
            continue
        key = (event["page"], event["region"])
        clicks[key] += 1
        dwell[key] += int(event["dwell_ms"])
        users[key].add(event["user"])
    rows = [[page, place, clicks[page, place], len(users[page, place]), round(dwell[page, place] / clicks[page, place])]
            for page, place in sorted(clicks)]  # fmt: skip
    replace(day.totals, [json.dumps(rows)])
    return f"{len(rows)} groups of {sum(clicks.values())} clicks"


def load(day: Day, _data: Path) -> str:
    """Replace the date's rows in the table, in one transaction."""
    rows = json.loads("".join(before(day.totals, "aggregate")))
    with closing(sqlite3.connect(day.warehouse, timeout=60, isolation_level=None)) as warehouse:
        warehouse.execute(
            "CREATE TABLE IF NOT EXISTS daily_clicks (date TEXT, page TEXT, region TEXT, clicks INTEGER, users INTEGER,"
            " avg_dwell_ms INTEGER, PRIMARY KEY (date, page, region))"
        )
        warehouse.execute("BEGIN IMMEDIATE")
        warehouse.execute("DELETE FROM daily_clicks WHERE date = ?", (day.date,))
        warehouse.executemany("INSERT INTO daily_clicks VALUES (?, ?, ?, ?, ?, ?)", [[day.date, *row] for row in rows])
        warehouse.execute("COMMIT")
    return f"{len(rows)} rows of {day.date} in {day.warehouse}"


def report(day: Day, _data: Path) -> str:
    """Say what the day was, for people and for programs, from the table and the rejected lines."""
    reasons = Counter(line.partition("\t")[0] for line in before(day.rejected, "validate"))
    with closing(sqlite3.connect(day.warehouse, timeout=60)) as warehouse:
        pages = warehouse.execute(
            "SELECT page, sum(clicks) FROM daily_clicks WHERE date = ? GROUP BY page ORDER BY 2 DESC, 1", (day.date,)
        ).fetchall()
    accepted = sum(1 for _ in before(day.clean, "validate"))
    facts: dict[str, Any] = {
        "date": day.date,
        "read": accepted + reasons.total(),
        "accepted": accepted,
        "rejected": dict(sorted(reasons.items())),
        "clicks": sum(count for _, count in pages),
        "pages": dict(pages),
    }
    lines = [f"Clicks on {day.date}: {facts['clicks']} of {facts['read']} lines, {reasons.total()} rejected"]
    lines += [f"  {page:<12}{count:>7}" for page, count in pages]
    lines += [f"  rejected, {reason}: {count}" for reason, count in sorted(reasons.items())]
    replace(day.report_json, [json.dumps(facts, indent=2), "\n"])
    replace(day.report, [f"{line}\n" for line in lines])
    return "\n".join(lines)


def before(path: Path, step: str) -> Iterable[str]:
    """The lines that an earlier step wrote."""
    if not path.is_file():
        msg = f"{path} is missing: run {step} first"
        raise StepFailedError(msg)
    with path.open(encoding="utf-8") as file:
        yield from file


def replace(path: Path, lines: Iterable[str]) -> None:
    """Write a file atomically, so that no reader sees a partial file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_text("".join(lines), encoding="utf-8")
    half.replace(path)


def _date_of(text: str) -> str | None:
    try:
        return datetime.strptime(text.partition("\t")[0].strip(), "%Y-%m-%dT%H:%M:%SZ").date().isoformat()  # noqa: DTZ007 - Z is UTC
    except ValueError:
        return None


STEPS: dict[str, Callable[..., str]] = {
    "extract": extract,
    "validate": validate,
    "aggregate": aggregate,
    "load": load,
    "report": report,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one step; 1 and a line on standard error if it cannot do its work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--date", required=True, type=date.fromisoformat)
    parser.add_argument("--out", required=True, type=Path, help="where files, table and reports go")
    parser.add_argument("--data", default=DATA, type=Path, help="the click log")
    parser.add_argument("--region", default="", help="count this region only (aggregate)")
    given = parser.parse_args(arguments)
    day = Day(given.out, given.date)
    try:
        more = (given.region,) if given.step == "aggregate" else ()
        print(STEPS[given.step](day, given.data, *more))
    except StepFailedError as error:
        print(f"{given.step}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
