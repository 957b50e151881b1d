"""Measure and judge one input, and find the smallest input with the same failure."""

from __future__ import annotations

import sys
import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Final

from attrs import Factory, define, frozen

from tests.fuzz.targets import Target, as_bytes, check_message
from workflow_core.errors import WorkflowError

if TYPE_CHECKING:
    from collections.abc import Iterator

REPEATS: Final = 3
"""An input that took too long is tried so often again, and the least counts: what else the machine does is no fault of it."""
TRACED: Final = 10
"""How many times as long something may take while it is traced."""
SHRINKING: Final = 60.0
"""Seconds that are spent on finding a smaller input."""


@frozen(kw_only=True)
class Failure:
    """An input that failed. ``kind`` is equal for inputs that fail for the same reason."""

    kind: str
    detail: str
    given: str | bytes


@define
class Result:
    """The result of one target's inputs."""

    target: Target
    inputs: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    slowest_size: int = 0
    closest: float = 0.0
    outcomes: Counter[str] = Factory(Counter)
    failure: Failure | None = None


def fuzz(target: Target, *, seed: int, inputs: int) -> Result:
    """Try up to ``inputs`` inputs; stop at the first failure and reduce it to the smallest input with the same failure."""
    result = Result(target)
    for number in range(inputs):
        given = target.made(Random(f"{seed} {target.name} {number}"))
        outcome, seconds, failure = tried(target, given)
        result.inputs += 1
        result.seconds += seconds
        result.outcomes[outcome] += 1
        result.closest = max(result.closest, seconds / target.allowed(given))
        if seconds > result.slowest:
            result.slowest, result.slowest_size = seconds, len(as_bytes(given))
        if failure is not None:
            result.failure = smallest(target, failure)
            break
    return result


def tried(target: Target, given: str | bytes) -> tuple[str, float, Failure | None]:
    """Return the outcome of an input, the CPU time of this thread, and the failure, if any."""
    outcome, seconds, failure = _once(target, given)
    allowed = target.allowed(given) * slack()
    for _ in range(REPEATS):
        if failure is not None or seconds <= allowed:
            break
        seconds = min(seconds, _once(target, given)[1])
    if failure is None and seconds > allowed:
        detail = f"{seconds * 1000:.0f} ms of CPU time; {allowed * 1000:.0f} ms are allowed"
        failure = Failure(kind="too slow", detail=detail, given=given)
    return outcome, seconds, failure


def slack() -> int:
    """How many times what is allowed may be taken: a tracer, such as that of coverage, slows pure Python down."""
    return 1 if sys.gettrace() is None else TRACED


def _once(target: Target, given: str | bytes) -> tuple[str, float, Failure | None]:
    began = time.thread_time()
    try:
        target.run(given)
    except target.declared as error:
        seconds = time.thread_time() - began
        if isinstance(error, WorkflowError):
            try:
                check_message(error)
            except AssertionError as problem:
                return "", seconds, Failure(kind="wrong message", detail=ascii(problem.args[:1]), given=given)
        return type(error).__name__, seconds, None
    except Exception as error:  # noqa: BLE001 - whatever is not declared is what is looked for
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
        kind = f"{type(error).__name__} at {where}"
        return "", time.thread_time() - began, Failure(kind=kind, detail=ascii(str(error))[:300], given=given)
    return "accepted", time.thread_time() - began, None


def smallest(target: Target, failure: Failure) -> Failure:
    """The failure with the smallest input that could be found by leaving parts out."""
    end = time.monotonic() + SHRINKING
    size = max(1, len(failure.given) // 2)
    while size:
        for shorter in _without(failure.given, size):
            found = tried(target, shorter)[2]
            if time.monotonic() > end:
                return failure
            if found is not None and found.kind == failure.kind:
                failure = found
                break
        else:
            size //= 2
        size = min(size, len(failure.given))
    return failure


def _without(given: str | bytes, size: int) -> Iterator[str | bytes]:
    """The input without each of its parts of that size."""
    for start in range(0, len(given), size):
        if isinstance(given, str):
            yield given[:start] + given[start + size :]
        else:
            yield given[:start] + given[start + size :]
