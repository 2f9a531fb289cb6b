from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.faults import Step, make_kill_hook

ROOT = Path(__file__).parents[2]
REACH_ALL_TWICE = """
import sys
from pipeline.faults import Step, make_kill_hook
on_step = make_kill_hook(sys.argv[1])
for _ in range(2):
    for step in Step:
        print(step.value, flush=True)
        on_step(step)
"""


def run(fail_at: str) -> tuple[int, list[str]]:
    """Reach every step twice in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-c", REACH_ALL_TWICE, fail_at], capture_output=True, text=True, check=False, cwd=ROOT
    )
    return ended.returncode, ended.stdout.split()


def test_a_process_kills_itself_at_the_given_step():
    code, reached = run("summaries")
    assert code == -signal.SIGKILL
    assert reached == [step.value for step in Step][: list(Step).index(Step.SUMMARIES) + 1]


def test_a_process_kills_itself_when_it_reaches_the_step_for_the_nth_time():
    code, reached = run("claimed:2")
    assert code == -signal.SIGKILL
    assert reached.count("claimed") == 2


def test_a_step_that_is_not_reached_often_enough_kills_no_process():
    assert run("claimed:3")[0] == 0


def test_without_a_given_step_no_process_is_killed():
    on_step = make_kill_hook("")
    for step in Step:
        on_step(step)


@pytest.mark.parametrize("fail_at", ["nowhere", "nowhere:1", "claimed:often", ":1"])
def test_an_unknown_step_is_refused(fail_at: str):
    with pytest.raises(ValueError, match=r"nowhere|often|''"):
        make_kill_hook(fail_at)
