"""``make schema``: explore a service by its OpenAPI document, with and without credentials; exits with 1 after any
finding.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from devstack.postgres import LocalPostgres
from tests.e2e.system import ROOT
from tests.schema.explore import Explorer, as_documented, ask_in_every_way
from tests.schema.report import findings, page, table
from tests.schema.served import served
from tests.schema.unauthenticated import explore_unauthenticated

PAGE = ROOT / "benchmarks" / "schema.md"


def main() -> int:
    """Run the exploration with the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.schema", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="with credentials; a tenth of that without")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    given = parser.parse_args()
    with LocalPostgres() as postgres, tempfile.TemporaryDirectory(prefix="schema-") as folder:
        with served(postgres, Path(folder)) as there:
            explorer = Explorer(served=there, headers=there.headers, number=given.seed)
            explored = explorer.explore(given.cases, as_documented)
            ask_in_every_way(explorer)
        with served(postgres, Path(folder), worker=False) as there:
            unauthenticated = explore_unauthenticated(there, given.cases // 10)
    for one in (explored, unauthenticated):
        print(table(one))
        print(f"{one.cases} cases in {one.seconds:.0f} s")
    problems = [*findings(explored), *explored.missed(explorer.document), *findings(unauthenticated)]
    print("\n\n".join(problems) or "every answer is as the document says")
    if given.write:
        PAGE.write_text(page(explored, unauthenticated))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
