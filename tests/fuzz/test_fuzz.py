"""A few hundred inputs of each target, the same every time, and every input that ever failed; ``make fuzz`` tries many more."""

from __future__ import annotations

import time
from random import Random
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.engine import fuzz, slack, tried
from tests.fuzz.targets import TARGETS, Target
from workflow_core.errors import InvalidRequest

BY_NAME: Final = {target.name: target for target in TARGETS}
LARGE: Final = "YAML up to 64 KiB"
HEAD: Final = "version: v1\nname: a\n"

FOUND: Final = [
    pytest.param("YAML", '"\\U00110000"', id="an escape beyond Unicode"),
    pytest.param("YAML", '"\\UFFFFFFFF"', id="an escape beyond C"),
    pytest.param("YAML", "%YAML 1.3", id="a version that ruamel refuses by assert"),
    pytest.param("YAML", "%YAML 1." + "1" * 4301 + "\n---\na: b", id="a version that int() refuses"),
    pytest.param("YAML", "\n\ufeff:", id="a key that cannot be seen"),
    pytest.param("YAML", HEAD + '"a\\nb": 1\n', id="a key of two lines"),
    pytest.param("YAML", HEAD + "owner: &o x\nteam: &o y\n", id="an anchor twice"),
    pytest.param(
        "YAML", HEAD + f"params:\n  x: {{default: 0, enum: [0x{'f' * 4000}]}}\n", id="a number too long to print"
    ),
    pytest.param("YAML", "{" * 1100, id="brackets within the look-ahead"),
    pytest.param("YAML", HEAD + "params: {x: {!!int y: 1}}\n", id="a word said to be a number"),
    pytest.param("YAML", HEAD + "params: {x: {2026-02-30: 1}}\n", id="a key that is no date"),
    pytest.param("YAML", HEAD + "params: {x: -0e+3}\n", id="a number that ruamel does not write"),
    pytest.param("YAML", HEAD + "params: {x: {1: a, 0x1: b, true: a, True: b}}\n", id="keys that ruamel takes for one"),
    pytest.param("YAML", HEAD + "params: {x: {d, :}}\n", id="a key of nothing"),
    pytest.param("YAML", "version: v1\nname: 2026-01-01\n", id="a date as a name"),
    pytest.param("YAML", HEAD + "start_date: 0001-01-01T00:00:00+14:00\n", id="the first hours of the calendar"),
    pytest.param("YAML", HEAD + "start_date: 9999-12-31T23:00:00Z\n", id="the last day of the calendar"),
    pytest.param(
        LARGE, HEAD + f"params: {{a: [&a {'x' * 10_000}{', *a' * 10_000}]}}\n", id="ten thousand times a long text"
    ),
    pytest.param("published bytes", b"%YAML 1.3", id="published, a version that ruamel refuses by assert"),
    pytest.param("time zone", "__init__/'", id="a file of a package as a zone"),
    pytest.param("query", b"since=0001-01-01T00:00:00%2B14:00", id="audit since before the calendar"),
    pytest.param("query", b"until=9999-12-31T23:59:59-14:00", id="audit until after the calendar"),
]


@pytest.mark.parametrize(("name", "text"), FOUND)
def test_what_once_failed_does_not_fail_again(name, text):
    """Each input that once caused an undeclared error, a wrong message or a timeout is accepted or refused correctly."""
    _, _, failure = tried(BY_NAME[name], text)
    assert failure is None, failure.detail


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_nearly_valid_input_is_taken_or_refused(target):
    """Every mutation of a valid input is accepted, or refused with a declared error, within the allowed time."""
    examples = 10 if target.name == LARGE else 200

    @settings(max_examples=examples, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=False))
    def holds(dice):
        text = target.made(dice)
        _, _, failure = tried(target, text)
        assert failure is None, f"{failure}"

    holds()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_corpus_is_valid(target):
    """Inputs are made from valid ones: at least a quarter of the seeds of each target are accepted as they stand."""
    outcomes = [tried(target, one.encode() if target.is_bytes else one)[0] for one in target.seeds]
    assert outcomes.count("accepted") * 4 >= len(outcomes), outcomes


def _fails(text: str) -> None:
    if "?" in text:
        raise KeyError(text)


def _has_no_message(text: str) -> None:
    raise InvalidRequest(f"{text} is\nwrong")


def _waits(text: str) -> None:
    began = time.thread_time()
    while time.thread_time() < began + 0.11 * slack():
        pass


@pytest.mark.parametrize(
    ("run", "kind"), [(_fails, "KeyError"), (_has_no_message, "wrong message"), (_waits, "too slow")]
)
def test_a_failure_is_found_and_made_small(run, kind):
    """An undeclared error, a refusal of two lines and an input that takes too long are found, with a small input for each."""
    target = Target(name="wrong", share=1, seeds=("abc?def",), fragments=("?",), run=run, longest=16)
    result = fuzz(target, seed=1, inputs=100)
    assert result.failure is not None
    assert result.failure.kind.startswith(kind)
    assert len(result.failure.given) <= 1


def test_the_same_seed_makes_the_same_inputs():
    """The same seed reproduces a failure."""
    target = BY_NAME["JSON body"]
    made = [[target.made(Random(f"7 {number}")) for number in range(50)] for _ in range(2)]
    assert made[0] == made[1]
