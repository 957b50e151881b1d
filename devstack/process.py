"""One server process: started with a log file, ended for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

from devstack import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

_KILL_SECONDS = 15.0


class ServerError(RuntimeError):
    """A server did not start, ended unexpectedly, or did not stop.

    The message contains the server, the problem and the path of the log, and ends with the log's last lines.
    """


def no_progress(message: str) -> None:
    """Drop a progress message: the default of everything that reports progress."""
    del message


class ManagedProcess:
    """A command that runs in a separate process group, with its output in a log file.

    The command runs below :mod:`devstack.guard`, which ends it and all its descendants, also those in other
    groups or sessions, when :meth:`stop` is called and when this program dies, even by SIGKILL.

    Args:
        command: program and arguments.
        name: what people call it, for messages.
        log_path: file that stdout and stderr are appended to; its directory is created.
        env: the complete environment; this program's own if not given.
        cwd: working directory.
        user: system user to run as (needs root); the current one if not given.
        stop_signal: what asks the command's main process to end.
        grace: seconds from asking to SIGKILL.
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        name: str,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 10.0,
    ) -> None:
        self.name = name
        self.log_path = log_path
        self._command = [os.fspath(part) for part in command]
        self._env = None if env is None else dict(env)
        self._cwd = cwd
        self._user = user
        self._stop_signal = stop_signal
        self._grace = grace
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the guard, which is also the id of the process group and of the session."""
        if self._guard is None:
            msg = f"{self.name} is not started"
            raise RuntimeError(msg)
        return self._guard.pid

    @property
    def exit_code(self) -> int | None:
        """The command's exit code (128 + n after signal n), or None while it runs or before it is started."""
        return None if self._guard is None else self._guard.poll()

    @property
    def is_running(self) -> bool:
        """Whether the command was started and has not ended."""
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> None:
        """Start the command. Does nothing if it runs already."""
        if self.is_running:
            return
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        arguments = [str(os.getpid()), str(int(self._stop_signal)), str(self._grace), self._user or "-", *self._command]
        with self.log_path.open("ab") as log:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )

    def wait(self, timeout: float) -> int:
        """Wait for the command to end; return its exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs after ``timeout`` seconds.
        """
        if self._guard is None:
            msg = f"{self.name} is not started"
            raise RuntimeError(msg)
        return self._guard.wait(timeout)

    def stop(self) -> None:
        """End the command and all its descendants. Does nothing if it is not running.

        Asks the main process, then what it left behind, kills what is left after ``grace`` seconds, and checks that the
        process group is gone.

        Raises:
            ServerError: something in the group survived even SIGKILL.
        """
        process = self._guard
        if process is None:
            return
        process.terminate()
        try:
            process.wait(self._grace + _KILL_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(_KILL_SECONDS)
        if self.group_exists():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            deadline = time.monotonic() + _KILL_SECONDS
            while self.group_exists():
                if time.monotonic() > deadline:
                    raise self.error(f"left processes behind in group {process.pid}")
                time.sleep(0.05)

    def group_exists(self) -> bool:
        """Say whether any process of the group is left."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def wait_until(
        self,
        ready: Callable[[], str | None],
        *,
        timeout: float,
        poll: float = 0.1,
        on_progress: Callable[[str], None] = no_progress,
    ) -> None:
        """Wait until ``ready()`` answers None; until then it answers what it waits for, in words.

        Raises:
            ServerError: the command ended, or ``timeout`` seconds passed.
        """
        deadline = time.monotonic() + timeout
        reported: str | None = None
        while (missing := ready()) is not None:
            if not self.is_running:
                raise self.error(f"ended with exit code {self.exit_code} while waiting for {missing}")
            if time.monotonic() > deadline:
                raise self.error(f"is not ready after {timeout:g} s: still waiting for {missing}")
            if missing != reported:
                on_progress(f"{self.name}: waiting for {missing}")
                reported = missing
            time.sleep(poll)

    def log_tail(self, lines: int = 20) -> str:
        """Return the last ``lines`` lines of the log; an empty string if there is none."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 64 * 1024))
                return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def error(self, what: str) -> ServerError:
        """Make the error that says ``what`` happened to this server, with the place and the end of its log."""
        return ServerError(f"{self.name} {what}\nlog: {self.log_path}\n{self.log_tail()}".rstrip())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
