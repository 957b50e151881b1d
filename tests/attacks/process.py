"""Run ``dli`` in a separate process."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DLI = [sys.executable, "-m", "workflow_entrypoints.cli.main"]


def dli(environment: dict[str, str], *arguments: str) -> bytes:
    """All output of a command."""
    done = subprocess.run([*DLI, *arguments], env=environment, capture_output=True, timeout=60, check=False)
    return done.stdout + done.stderr


@contextmanager
def serving(environment: dict[str, str], log: Path) -> Iterator[str]:
    """The URL of a service whose log goes to ``log``."""
    with log.open("wb") as file:
        process = subprocess.Popen([*DLI, "serve"], env=environment, stderr=file, stdout=file)
    try:
        deadline = time.monotonic() + 60
        while b"Serving at " not in (told := log.read_bytes()):
            assert process.poll() is None, told
            assert time.monotonic() < deadline, told
            time.sleep(0.05)
        yield re.split(rb"[\s\"]", told.partition(b"Serving at ")[2])[0].decode()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
