"""``make run``: the whole system on this machine, and the example from registration to result.

Everything lives below ``.run/`` (database, object store, Airflow's home, output, logs) and is used again by the next call.
The steps after the start are the very ``dli`` commands that a user types; they are shown as they run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
from rich.console import Console
from ruamel.yaml import YAML

from devstack.airflow import LocalAirflow
from devstack.ports import LOOPBACK, PortInUseError, require_free
from devstack.process import ManagedProcess, ServerError
from workflow_entrypoints.airflow.install import install

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).resolve().parent.parent
RUN: Final = ROOT / ".run"
CONFIG: Final = RUN / "workflows.yaml"
EXAMPLE: Final = ROOT / "examples" / "daily_clicks"
OUTPUT: Final = RUN / "output"
DATASET: Final = "iceberg.analytics.daily_clicks"
DATE: Final = "2026-01-02"
LOADERS: Final = 8
NOT_FOUND: Final = 3  # exit code of dli

console = Console(highlight=False)


class StepFailedError(RuntimeError):
    """A step of the tour did not do what it must."""


def main() -> int:
    """Start, tour, serve; 0 only if the example's run succeeded and its output is there."""
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the tour instead of serving")
    parser.add_argument("--port", type=int, default=int(os.environ.get("WORKFLOWS_PORT", "8000")))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `with` blocks stop what they started
    try:
        return _run(arguments.port, once=arguments.once)
    except (PortInUseError, ServerError, StepFailedError) as error:
        console.print(f"[bold red]make run:[/] {error}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return 0 if not arguments.once else 130


def _run(port: int, *, once: bool) -> int:
    started = time.monotonic()
    require_free(port, "the service (choose another: WORKFLOWS_PORT=8001 make run)")
    RUN.mkdir(exist_ok=True)
    storage = f"file://{RUN / 'storage'}"
    airflow = LocalAirflow(
        environment=ROOT / os.environ.get("AIRFLOW_VENV", ".venv-airflow"),
        home=RUN / "airflow",
        dags_folder=RUN / "dags",
        extra_env={
            "WORKFLOWS_STORAGE_URL": storage,
            "DAILY_CLICKS_HOME": str(EXAMPLE),
            "DAILY_CLICKS_OUT": str(OUTPUT),
        },
        on_progress=lambda text: console.print(f"[dim]{time.monotonic() - started:5.1f} s  {text}[/]"),
    )
    airflow.dags_folder.mkdir(parents=True, exist_ok=True)
    install(airflow.dags_folder, loaders=LOADERS, storage_url=storage)
    with airflow:
        _write_config(airflow, storage, port)
        _dli("db", "upgrade", quiet=True)
        service = ManagedProcess(
            [sys.executable, "-m", "workflow_entrypoints.cli.main", "serve"],
            name=f"The service (port {port})",
            log_path=RUN / "service.log",
            env=_environment(),
            cwd=ROOT,
        )
        with service:
            _wait_ready(service, port)
            console.print(f"[green]Ready[/] after {time.monotonic() - started:.0f} s: http://{LOOPBACK}:{port}\n")
            _tour()
            if once:
                return 0
            _next_steps(airflow, port)
            _serve(service, airflow)
    return 0


def _write_config(airflow: LocalAirflow, storage: str, port: int) -> None:
    """What every ``dli`` of this system reads; the port and password of Airflow are this start's own."""
    CONFIG.touch(mode=0o600)
    tree = {
        "airflow": {"base-url": airflow.base_url, "username": airflow.username, "password": airflow.password},
        "workflows": {
            "database-url": f"sqlite:///{RUN / 'workflows.db'}",
            "storage-url": storage,
            "loaders": LOADERS,
            "port": port,
        },
    }
    with CONFIG.open("w", encoding="utf-8") as file:
        YAML().dump(tree, file)


def _environment() -> dict[str, str]:
    """Our own environment without settings that would win over the file."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WORKFLOWS_", "AIRFLOW_"))}
    return {**kept, "WORKFLOWS_CONFIG": str(CONFIG), "WORKFLOWS_DRAIN": "0"}


def _dli(*arguments: str, quiet: bool = False, allowed: tuple[int, ...] = (0,)) -> int:
    """Run one ``dli`` command, shown as a user would type it."""
    if not quiet:
        console.print(f"[bold cyan]$ dli {' '.join(arguments)}[/]", soft_wrap=True)
    done = subprocess.run(
        [sys.executable, "-m", "workflow_entrypoints.cli.main", *arguments],
        env=_environment(),
        cwd=ROOT,
        check=False,
        stdout=subprocess.DEVNULL if quiet else None,
        stderr=subprocess.PIPE if quiet else None,
        text=True,
    )
    if done.returncode not in allowed:
        msg = f"`dli {' '.join(arguments)}` ended with exit code {done.returncode}. {done.stderr or ''}".strip()
        raise StepFailedError(msg)
    if not quiet:
        console.print()
    return done.returncode


def _wait_ready(service: ManagedProcess, port: int) -> None:
    def missing() -> str | None:
        if not service.is_running:
            raise service.error(f"ended with exit code {service.exit_code} during its start")
        try:
            answer = httpx.get(f"http://{LOOPBACK}:{port}/dependencies", timeout=20, trust_env=False)
        except httpx.HTTPError:
            return "the service to answer"
        if answer.status_code == httpx.codes.OK:
            return None
        return "; ".join(f"{name}: {part['detail']}" for name, part in answer.json().items() if name != "status")

    service.wait_until(missing, timeout=60, on_progress=lambda text: console.print(f"[dim]{text}[/]"))


def _tour() -> None:
    """Register the example once, run it for a date, show the result and the history."""
    report = OUTPUT / "reports" / f"{DATE}.json"
    report.unlink(missing_ok=True)
    if _dli("workflow", "show", DATASET, quiet=True, allowed=(0, NOT_FOUND)) == NOT_FOUND:
        _dli("workflow", "register", DATASET, "--file", str((EXAMPLE / "workflow.yaml").relative_to(ROOT)))
    _dli("workflow", "run", DATASET, "--param", f"date={DATE}", "--wait")
    if not report.is_file():
        msg = f"the run succeeded, but its output {report} is missing"
        raise StepFailedError(msg)
    json.loads(report.read_text(encoding="utf-8"))
    console.print(report.with_suffix(".txt").read_text(encoding="utf-8"), style="green")
    _dli("workflow", "history")


def _next_steps(airflow: LocalAirflow, port: int) -> None:
    console.print(
        f"""[bold]Now try, in another terminal:[/]

  export WORKFLOWS_CONFIG={CONFIG} PATH={ROOT / ".venv" / "bin"}:$PATH
  dli workflow list
  dli workflow run {DATASET} --param date=2026-01-03 --wait
  dli workflow show {DATASET}
  curl http://{LOOPBACK}:{port}/api/v1/workflows/history
  cat {OUTPUT / "reports"}/*.txt

  API document    http://{LOOPBACK}:{port}/schema/openapi.json
  Airflow         {airflow.base_url}  (user {airflow.username}, password {airflow.password})
  Logs            {RUN / "service.log"}, {airflow.log_path}

Ctrl-C stops everything.""",
        soft_wrap=True,
    )


def _serve(service: ManagedProcess, airflow: LocalAirflow) -> None:
    """Serve until Ctrl-C, or until a server ends unexpectedly."""
    health: Callable[[], object] = airflow.health
    while service.is_running and health():
        time.sleep(2)
    raise service.error("or Airflow ended unexpectedly")


if __name__ == "__main__":
    sys.exit(main())
