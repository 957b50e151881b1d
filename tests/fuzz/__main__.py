"""``make fuzz``: random inputs for every function that reads external text, mutated from valid ones; equal seeds give equal inputs."""

from __future__ import annotations

import argparse
import platform
import random
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.fuzz.engine import Result, fuzz
from tests.fuzz.targets import QUICK, READING, REGISTERING, TARGETS

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE: Final = Path(__file__).resolve().parents[2] / "benchmarks" / "fuzz.md"
HEAD: Final = ("target", "inputs", "CPU s", "slowest ms", "of bytes", "of the time allowed", "outcomes")


def main() -> int:
    """Return 1 if an input failed, else 0."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000, help="in all (%(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**9), help="by default another one each time")
    parser.add_argument("--target", help="only this one")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}, if all is well")
    given = parser.parse_args()
    warnings.simplefilter("error")  # a warning would print unescaped text of the input
    chosen = [target for target in TARGETS if given.target in {None, target.name}]
    if not chosen:
        parser.error(f"the targets are {', '.join(target.name for target in TARGETS)}")
    parts = sum(target.share for target in chosen)
    print(f"seed {given.seed}\n{_row(HEAD)}\n{_row(['---'] * len(HEAD))}", flush=True)
    results = []
    for target in chosen:
        results.append(fuzz(target, seed=given.seed, inputs=-(-given.inputs * target.share // parts)))
        print(_line(results[-1]), flush=True)
    failed = [result for result in results if result.failure is not None]
    for result in failed:
        _tell(result)
    if given.write and not failed:
        PAGE.write_text(_page(results, given.seed))
    return 1 if failed else 0


def _tell(result: Result) -> None:
    failure = result.failure
    if failure is not None:
        print(f"\n{result.target.name}: {failure.kind}\n  {failure.detail}\n  smallest input: {failure.given!a}")


def _line(result: Result) -> str:
    outcomes = ", ".join(f"{name or 'FAILED'} {count:,}" for name, count in sorted(result.outcomes.items()))
    return _row([
        result.target.name,
        f"{result.inputs:,}",
        f"{result.seconds:.1f}",
        f"{result.slowest * 1000:.1f}",
        f"{result.slowest_size:,}",
        f"{result.closest:.0%}",
        outcomes,
    ])  # fmt: skip


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_TEXT: Final = f"""\
# Fuzzing

Written by `make fuzz N=… ARGS=--write`.
Inputs are made from valid ones (`tests/fuzz`): tokens are removed, doubled, swapped, repeated and nested,
and pieces of the grammar, odd characters, numbers and bytes are inserted.
Each input must be accepted, or refused with a declared error whose message can be returned and logged.

An input may take {QUICK * 1000:.0f} ms of CPU time.
YAML, which is read in pure Python, may take longer if it is large:
{READING * 1000:.0f} ms for each KiB that is read (published bytes), {REGISTERING * 1000:.0f} ms for each KiB that is registered,
because a registration reads it twice.
The column `of the time allowed` is that of the input that came nearest to its limit.
"""


def _page(results: Sequence[Result], seed: int) -> str:
    inputs = sum(result.inputs for result in results)
    seconds = sum(result.seconds for result in results)
    about = (
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}, seed {seed}:"
        f" {inputs:,} inputs in {seconds:.0f} s of CPU time, no failure."
    )
    return "\n".join([_TEXT, about, "", _row(HEAD), _row(["---"] * len(HEAD)), *map(_line, results), ""])


if __name__ == "__main__":
    sys.exit(main())
