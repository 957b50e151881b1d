"""Run one command so that it, and everything it ever starts, ends with us.

``guard.py PARENT_PID STOP_SIGNAL GRACE_SECONDS USER COMMAND...`` stands between a program and a server it starts. It
ends the server on SIGTERM or SIGINT, when the server's main process exits, and when the program that
started it is gone, even by SIGKILL. A process group alone cannot do this: Airflow's tasks and PostgreSQL's backends
move to other groups and sessions. So the guard becomes the *subreaper* (``prctl(2)``) of everything below it:
each process that loses its parent becomes a child of the guard, and when the guard has no children left, nothing is left.

Standard library only, run by path with ``python -I -S``: it starts in a few hundredths of a second. Where there is no
``prctl`` and ``/proc`` (macOS) it ends the process group only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINUX = sys.platform.startswith("linux")
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PARENT_CHECK_SECONDS = 0.25
_KILL_SECONDS = 10.0

_libc = ctypes.CDLL(None, use_errno=True) if _LINUX else None


def _prctl(option: int, value: int) -> None:
    if _libc is not None and _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def _descendants(root: int) -> Iterator[int]:
    """Yield the process ids below ``root``, from ``/proc``."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir() if _LINUX else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The command name, in parentheses, may hold spaces: count fields from the last parenthesis.
                parent = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    pending = list(children.get(root, ()))
    while pending:
        pid = pending.pop()
        yield pid
        pending.extend(children.get(pid, ()))


class Guard:
    """Supervises one command; see the module's docstring."""

    def __init__(self, *, parent: int, stop_signal: signal.Signals, grace: float) -> None:
        self._parent = parent
        self._stop_signal = stop_signal
        self._grace = grace
        self._told_to_stop = False
        self._main: int | None = None
        self._exit_code = 0
        self._wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _on_stop(self, *_: object) -> None:
        self._told_to_stop = True

    def run(self, command: list[str], user: str | None) -> int:
        """Run ``command`` until one of the reasons to stop; return its exit code, as a shell would give it."""
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                user=user,
                group=None if user is None else _group_of(user),
                extra_groups=None if user is None else [],
                # If the guard itself is killed, the main process goes at once.
                preexec_fn=lambda: _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509 - one thread only
            )
        except OSError as error:
            sys.stderr.write(f"cannot start {command[0]}: {error}\n")
            return 127
        self._main = process.pid
        while self._has_children() and self._main is not None:
            if self._told_to_stop or os.getppid() != self._parent:
                break
            self._sleep(_PARENT_CHECK_SECONDS)
        self._end_all()
        return self._exit_code

    def _end_all(self) -> None:
        # Only the main process is asked: Airflow's scheduler was seen to wait for ever for workers that had got the
        # signal as well.
        if self._main is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._main, self._stop_signal)
        deadline = time.monotonic() + self._grace
        while self._has_children() and time.monotonic() < deadline:
            # Once the main process is gone, no process waits for the rest.
            if self._main is None:
                self._signal_tree(signal.SIGTERM)
            self._sleep(0.1)
        deadline = time.monotonic() + _KILL_SECONDS
        while self._has_children() and time.monotonic() < deadline:
            self._signal_tree(signal.SIGKILL)
            self._sleep(0.05)

    def _has_children(self) -> bool:
        """Collect what has exited; say whether anything is left below us."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._main:
                code = os.waitstatus_to_exitcode(status)
                self._exit_code = code if code >= 0 else 128 - code
                self._main = None

    def _signal_tree(self, number: signal.Signals) -> None:
        if not _LINUX:
            # Ourselves too: the handlers above make SIGTERM harmless, and after SIGKILL there is nothing more to do.
            os.killpg(os.getpgrp(), number)
        for pid in _descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _sleep(self, seconds: float) -> None:
        if select.select([self._wake_read], [], [], seconds)[0]:
            os.read(self._wake_read, 4096)


def _group_of(user: str) -> int:
    import pwd  # noqa: PLC0415 - Unix only, and rarely needed

    return pwd.getpwnam(user).pw_gid


def main(arguments: list[str]) -> int:
    """Run the guard with the command-line arguments that the module's docstring gives; ``-`` as USER keeps the user."""
    parent, stop_signal, grace, user, *command = arguments
    guard = Guard(parent=int(parent), stop_signal=signal.Signals(int(stop_signal)), grace=float(grace))
    return guard.run(command, None if user == "-" else user)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
