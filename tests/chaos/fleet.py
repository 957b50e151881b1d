"""The processes of the service, killed at random and restarted, and its PostgreSQL, which restarts while they run."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Self

import httpx

from devstack.ports import LOOPBACK, free_ports
from devstack.process import ManagedProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from devstack.postgres import LocalPostgres

ROOT = Path(__file__).resolve().parent.parent.parent


class Fleet:
    """Some ``dli serve`` and ``dli worker``, each restarted at once after its death.

    Attributes:
        urls: where the replicas of the API answer, if they live.
        kills: how many processes were killed from outside.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        servers: int,
        workers: int,
        folder: Path,
        seed: int,
        is_spared: Callable[[int], bool],
    ) -> None:
        ports = free_ports(servers)
        plan = [
            (f"serve-{port}", ["serve", "--port", str(port), *(["--no-worker"] if workers else [])]) for port in ports
        ]
        plan += [(f"worker-{number}", ["worker"]) for number in range(workers)]
        self.urls: Sequence[str] = [f"http://{LOOPBACK}:{port}" for port in ports]
        self._environment = dict(environment)
        self._members = {
            name: ManagedProcess(
                [sys.executable, "-m", "tests.chaos.instrumented_cli", *arguments],
                name=name,
                log_path=folder / f"{name}.log",
                env=self._environment,
                cwd=ROOT,
            )
            for name, arguments in plan
        }
        self._random = Random(f"{seed} kills")
        self._is_spared = is_spared
        self._stop = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="fleet")
        self.kills = 0

    def __enter__(self) -> Self:
        self._keeper.start()
        deadline = time.monotonic() + 60
        while not all(_answers(url) for url in self.urls):
            if time.monotonic() > deadline:
                raise next(iter(self._members.values())).error("does not answer")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._keeper.join()
        for member in self._members.values():
            member.stop()

    def kill_one(self) -> None:
        """Kill one running process that is not spared. Its guard is killed, which ends the process at once."""
        living = [member for member in self._members.values() if member.is_running and not self._is_spared(member.pid)]
        if living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._random.choice(living).pid, signal.SIGKILL)
                self.kills += 1

    def _keep(self) -> None:
        while not self._stop.wait(0.05):
            for member in self._members.values():
                if not member.is_running:
                    member.start()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def restart(postgres: LocalPostgres, *, crash: bool) -> None:
    """Stop PostgreSQL, orderly or by a crash with recovery from its log, and start it again."""
    if crash:
        postmaster = int((postgres.directory / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGQUIT)
    postgres.stop()
    postgres.start()
