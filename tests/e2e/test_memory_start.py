"""The start in memory, as the README and the page for newcomers show it."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MARK = "<!-- run by tests/e2e/test_memory_start.py -->"
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "docs/getting-started.md"])
def test_the_start_in_memory_ends_in_success(tmp_path, page):
    """Every command of the two blocks runs as written, on a free port; the run is a SUCCESS within seconds."""
    text = (ROOT / page).read_text(encoding="utf-8").partition(MARK)[2]
    first, second = (_commands(block) for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL)[:2])
    (tmp_path / "daily_clicks.yaml").write_text(_workflow(), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {"PATH": os.environ["PATH"], "WORKFLOWS_PORT": port, "XDG_CONFIG_HOME": str(tmp_path)}
    assert first[0] == "pip install '.[all]'"  # this environment is the result of it
    assert (first[1].split()[0], first[2]) == ("export", "dli serve")
    settings = dict(pair.split("=", 1) for pair in shlex.split(first[1])[1:])
    server = subprocess.Popen(_dli(first[2]), env={**environment, **settings}, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        _wait(port, server)
        outputs = []
        for line in second:
            if line.startswith("export "):
                environment |= dict(pair.split("=", 1) for pair in shlex.split(line.replace("8000", port))[1:])
                continue
            done = subprocess.run(
                _dli(line), env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == 0, f"{line}: {done.stderr}"
            outputs.append(done.stdout)
        assert len(outputs) >= 4
        assert re.search(r"^status +SUCCESS$", outputs[2], re.MULTILINE)
        assert "SUCCESS" in outputs[3]
    finally:
        server.terminate()
        server.wait(60)


def _commands(block: str) -> list[str]:
    return [line.partition("  #")[0].strip() for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE)]


def _workflow() -> str:
    """The workflow that the README shows."""
    blocks: list[str] = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    return next(block for block in blocks if "version: v1" in block)


def _dli(line: str) -> list[str]:
    program, *arguments = shlex.split(line)
    assert program == "dli", line
    return [sys.executable, "-m", "workflow_entrypoints.cli.main", *arguments]


def _wait(port: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server does not answer")
