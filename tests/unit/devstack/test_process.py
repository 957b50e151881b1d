"""The development servers' foundation: ports, and processes that end when they should."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devstack.ports import LOOPBACK, PortInUseError, free_ports, is_listening, require_free
from devstack.process import ManagedProcess, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = Path(__file__).parents[3]
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="descendants are followed on Linux only")

# Starts one child in its own group and a grandchild in its own session, writes all three process ids, and waits. The
# argument says what it does with SIGTERM.
FAMILY = """
import os, signal, subprocess, sys, time
from pathlib import Path

if sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
sleep = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
nested = '''
import subprocess, time
print(subprocess.Popen(%r, start_new_session=True).pid, flush=True)
time.sleep(600)
'''
command = [sys.executable, "-S", "-c", nested % sleep]
child = subprocess.Popen(command, process_group=0, stdout=subprocess.PIPE, text=True)
grandchild = int(child.stdout.readline())
report = Path(sys.argv[1])
report.with_suffix(".part").write_text(f"{os.getpid()} {child.pid} {grandchild}")
report.with_suffix(".part").rename(report)
if sys.argv[2] == "leaves":
    sys.exit(7)
time.sleep(600)
"""


def until(condition: Callable[[], bool], timeout: float = 15.0) -> bool:
    """Wait for a condition; say whether it came true."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def alive(pid: int) -> bool:
    """Say whether a process exists and is no zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def family(tmp_path: Path, manner: str = "obedient", grace: float = 10.0) -> ManagedProcess:
    """Make, but do not start, a command with a child and a grandchild in groups of their own."""
    return ManagedProcess(
        [sys.executable, "-S", "-c", FAMILY, tmp_path / "pids", manner],
        name="family",
        log_path=tmp_path / "logs" / "family.log",
        grace=grace,
    )


def pids(tmp_path: Path) -> list[int]:
    """Wait for the family's three process ids."""
    assert until((tmp_path / "pids").exists)
    return [int(pid) for pid in (tmp_path / "pids").read_text().split()]


class TestPorts:
    """Finding ports."""

    def test_free_ports_are_distinct_and_free(self) -> None:
        """Ten ports at once are ten different ports on which nothing listens."""
        ports = free_ports(10)
        assert len(set(ports)) == 10
        assert not any(is_listening(port) for port in ports)

    def test_no_ports(self) -> None:
        """Asking for none gives none."""
        assert free_ports(0) == []

    def test_a_taken_port_is_refused_with_its_purpose(self) -> None:
        """The error names the port and what it was wanted for."""
        [port] = free_ports(1)
        require_free(port, "the API")
        with socket.create_server((LOOPBACK, port)):
            assert is_listening(port)
            with pytest.raises(PortInUseError, match=rf"port {port}, wanted for the API, is in use"):
                require_free(port, "the API")
        require_free(port, "the API")


@linux_only
class TestEnd:
    """How commands end, with all they started."""

    def test_stop_ends_every_descendant(self, tmp_path: Path) -> None:
        """Stopping ends children in other groups and sessions too, and returns when they are gone."""
        with family(tmp_path) as process:
            members = pids(tmp_path)
            assert all(map(alive, members))
        assert not any(map(alive, members))
        assert not process.group_exists()
        assert process.exit_code == 128 + signal.SIGTERM

    def test_stop_kills_what_ignores_it(self, tmp_path: Path) -> None:
        """A command that ignores SIGTERM is killed after the grace time."""
        with family(tmp_path, "stubborn", grace=0.3) as process:
            members = pids(tmp_path)
            asked = time.monotonic()
        assert time.monotonic() - asked < 5
        assert not any(map(alive, members))
        assert process.exit_code == 128 + signal.SIGKILL

    def test_remaining_children_of_the_command_are_ended(self, tmp_path: Path) -> None:
        """When the command exits, its children are ended, and its exit code is kept."""
        process = family(tmp_path, "leaves")
        process.start()
        members = pids(tmp_path)
        assert until(lambda: not process.is_running)
        assert process.exit_code == 7
        assert not any(map(alive, members))
        process.stop()

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_children_do_not_outlive_a_killed_program(self, tmp_path: Path, number: signal.Signals) -> None:
        """When the program that started it is killed, the command and all its descendants end."""
        program = textwrap.dedent(
            f"""
            import sys, time
            from pathlib import Path
            sys.path.insert(0, {str(PROJECT)!r})
            from devstack.process import ManagedProcess
            command = [sys.executable, "-S", "-c", {FAMILY!r}, {str(tmp_path / "pids")!r}, "stubborn"]
            ManagedProcess(command, name="family", log_path=Path({str(tmp_path / "log")!r}), grace=0.3).start()
            time.sleep(600)
            """
        )
        with subprocess.Popen([sys.executable, "-c", program]) as starter:
            try:
                members = pids(tmp_path)
                assert all(map(alive, members))
            finally:
                starter.send_signal(number)
        assert until(lambda: not any(map(alive, members)))

    def test_a_killed_guard_does_not_leave_the_command(self, tmp_path: Path) -> None:
        """When the guard itself is killed, the command's main process ends at once."""
        with family(tmp_path) as process:
            main, *rest = pids(tmp_path)
            os.kill(process.pid, signal.SIGKILL)
            assert until(lambda: not alive(main))
        for pid in rest:  # these have no parent process any longer
            os.kill(pid, signal.SIGKILL)


class TestManagedProcess:
    """Starting, waiting and progress messages."""

    def test_stop_and_start_are_repeatable(self, tmp_path: Path) -> None:
        """Stopping twice, or before the start, does nothing; starting twice keeps the one process."""
        process = ManagedProcess([sys.executable, "-c", "input()"], name="short", log_path=tmp_path / "log")
        process.stop()
        process.start()
        pid = process.pid
        process.start()
        assert process.pid == pid
        process.stop()
        process.stop()
        assert not process.is_running

    def test_an_early_end_is_told_with_the_log(self, tmp_path: Path) -> None:
        """Waiting for a command that has ended says so, with its exit code and the end of its log."""
        code = "import sys; print('the reason'); sys.exit(3)"
        with (
            ManagedProcess([sys.executable, "-c", code], name="broken", log_path=tmp_path / "log") as process,
            pytest.raises(ServerError, match=r"broken ended with exit code 3 while waiting for Godot\n.*\nthe reason"),
        ):
            process.wait_until(lambda: "Godot", timeout=10)

    def test_a_late_start_is_told(self, tmp_path: Path) -> None:
        """A command that does not get ready in time is an error that says what was missing."""
        heard: list[str] = []
        code = "import time; time.sleep(60)"
        with (
            ManagedProcess([sys.executable, "-c", code], name="slow", log_path=tmp_path / "log") as process,
            pytest.raises(ServerError, match=r"slow is not ready after 0.2 s: still waiting for Godot"),
        ):
            process.wait_until(lambda: "Godot", timeout=0.2, on_progress=heard.append)
        assert heard == ["slow: waiting for Godot"]

    def test_a_missing_program_is_told(self, tmp_path: Path) -> None:
        """A command that does not exist ends with 127 and says its name."""
        with ManagedProcess([tmp_path / "nothing"], name="missing", log_path=tmp_path / "log") as process:
            assert until(lambda: process.exit_code == 127)
            assert "nothing" in process.log_tail()
