"""``make chaos``: the full run, and the proof that the checker detects missing safeguards; exits with 1 unless all
guarantees held.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from attrs import evolve

from tests.chaos.fleet import ROOT
from tests.chaos.harness import Plan, Result, run
from tests.chaos.instrumented_cli import SAFEGUARDS
from tests.chaos.report import page, table
from tests.chaos.servers import servers

PROOF_SECONDS = 150.0
"""Seconds of chaos for each safeguard that is switched off to prove that the checker notices."""

PAGES = ROOT / "benchmarks"


def main() -> int:
    """Run the chaos test with the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--seconds", type=float, default=600, help="maximum duration of chaos")
    parser.add_argument("--least", type=float, default=60, help="minimum duration of chaos")
    parser.add_argument("--operations", type=int, default=300)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--some-points", action="store_true", help="do not require a crash at each crash point")
    parser.add_argument("--airflow-2", action="store_true", help="on Airflow 2.11")
    parser.add_argument("--sqlite", action="store_true", help="one process on SQLite")
    parser.add_argument("--keys", action="store_true", help="clients repeat unanswered requests under Idempotency-Keys")
    parser.add_argument("--without", choices=SAFEGUARDS, help="break the product: the run must fail")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="an environment variable of the service"
    )
    parser.add_argument("--no-proof", action="store_true", help="leave out the runs with a safeguard switched off")
    parser.add_argument(
        "--write", action="store_true", help="write benchmarks/chaos.md, or chaos-airflow-2.md, chaos-sqlite.md, …"
    )
    parser.add_argument("--keep", action="store_true", help="keep the logs after a successful run")
    given = parser.parse_args()
    plan = Plan(
        seed=given.seed,
        least=min(given.least, given.seconds),
        most=given.seconds,
        operations=given.operations,
        kills=given.kills,
        every_point=not given.some_points,
        sqlite=given.sqlite,
        keys=given.keys,
        settings=dict(setting.split("=", 1) for setting in given.set),
    )
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.chmod(0o711)
    say(f"seed {plan.seed}, logs in {folder}")
    proofs = {} if given.no_proof or given.without else SAFEGUARDS
    title = f"Airflow {'2.11' if given.airflow_2 else '3.3'}, {'SQLite, one process' if plan.sqlite else 'PostgreSQL'}"
    title += ", requests repeated under Idempotency-Keys" if plan.keys else ""
    with servers(folder / "servers", airflow_2=given.airflow_2, say=say) as around:
        plan = proof(plan, given.without) if given.without else plan
        results = [(title, run(plan, around, folder / "run", say=say))]
        tell(*results[0])
        for without, what in proofs.items():
            short = proof(plan, without)
            say(f"the proof: {what}")
            results.append((f"Must fail: {what}", run(short, around, folder / f"without-{without}", say=say)))
            tell(*results[-1])
    well = good(results[0][1]) and not any(result.verdict.is_clean for _, result in results[1:])
    say("all is well" if well else "something is wrong, see above")
    if given.write and not given.without:
        others = [name for name in ("airflow_2", "sqlite", "keys") if vars(given)[name]]
        name = "-".join(["chaos", *(name.replace("_", "-") for name in others)])
        (PAGES / f"{name}.md").write_text(page(results))
    if well and not given.keep:
        shutil.rmtree(folder)
    return 0 if well else 1


def proof(plan: Plan, without: str) -> Plan:
    """Shorten the plan, with a safeguard switched off."""
    return evolve(plan, least=PROOF_SECONDS, most=PROOF_SECONDS, every_point=False, without=without, stills=5.0)


def tell(title: str, result: Result) -> None:
    """Print the table and all violations."""
    say(f"{title}\n{table(result)}")
    for line in (*result.verdict.lines(), *(f"no process died at {point}" for point in result.missed)):
        say(line)


def good(result: Result) -> bool:
    """Whether all guarantees held, and the plan's number of operations and kills was reached."""
    plan = result.plan
    enough = len(result.journal) >= plan.operations and result.kills >= plan.kills and not result.missed
    return result.verdict.is_clean and enough


def say(line: str) -> None:
    """Print the line and flush, also if the output is a file."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
