"""Orphans: no child process outlives the supervisor, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from rapport.embedded.supervisor.child import wrap
from tests.embedded.supervisor.toys import is_alive, read_events, read_pid
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_children_in_reverse_order(tmp_path: Path, number: signal.Signals):
    with _supervisor(tmp_path, "a", "b:parent") as supervisor:
        _wait_up(tmp_path)
        family = _family(supervisor)
        supervisor.send_signal(number)
        assert supervisor.wait(20) == 0
    assert read_events(tmp_path)[-2:] == ["stop b", "stop a"]
    _assert_gone(family)


def test_a_signal_during_the_start_stops_the_running_children(tmp_path: Path):
    with _supervisor(tmp_path, "a", "b:slow") as supervisor:
        wait_until(lambda: "start b" in read_events(tmp_path), "b starts")
        family = _family(supervisor)
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(20) == 0
    assert read_events(tmp_path)[-1] == "stop a"
    _assert_gone(family)


def test_a_second_signal_kills_children_that_do_not_stop(tmp_path: Path):
    with _supervisor(tmp_path, "a:deaf") as supervisor:
        _wait_up(tmp_path)
        family = _family(supervisor)
        supervisor.send_signal(signal.SIGTERM)
        wait_until(lambda: "stopping" in (tmp_path / "data/logs/rapport.log").read_text(), "the stack stops")
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(4) == 0  # the child has 5 s
    _assert_gone(family)


def test_a_killed_supervisor_leaves_neither_children_nor_grandchildren(tmp_path: Path):
    with _supervisor(tmp_path, "a", "b:parent", "c:deaf") as supervisor:
        _wait_up(tmp_path)
        family = _family(supervisor)
        assert len(family) == 5  # the children, the guard and the child of b
        supervisor.kill()
        supervisor.wait(20)
        _assert_gone(family)
    assert "stop a" not in read_events(tmp_path)
    _start_and_stop(tmp_path)


def test_a_killed_supervisor_leaves_no_restarted_child(tmp_path: Path):
    with _supervisor(tmp_path, "a:parent", "b") as supervisor:
        _wait_up(tmp_path)
        first, grandchild = read_pid(tmp_path, "a"), read_pid(tmp_path, "a", "child")
        assert first is not None
        assert grandchild is not None
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: read_pid(tmp_path, "a") != first, "a runs again")
        family = [first, grandchild, *_family(supervisor)]
        supervisor.kill()
        supervisor.wait(20)
        _assert_gone(family)


def test_a_killed_supervisor_without_its_guard_leaves_no_child(tmp_path: Path):
    with _supervisor(tmp_path, "a", "b") as supervisor:
        _wait_up(tmp_path)
        family = _family(supervisor)
        (guard,) = (pid for pid in family if "guard.py" in psutil.Process(pid).cmdline()[-1])
        os.kill(guard, signal.SIGKILL)
        supervisor.kill()
        supervisor.wait(20)
        _assert_gone(family)


def test_a_command_whose_parent_died_before_it_could_run_does_not_run(tmp_path: Path):
    touched = tmp_path / "touched"
    result = subprocess.run(wrap(["touch", str(touched)], parent_pid=os.getppid()), check=False)
    assert result.returncode == -signal.SIGKILL
    assert not touched.exists()


@pytest.mark.parametrize("inherited", ["", "trap '' HUP INT QUIT TERM USR1 USR2 CHLD"])
def test_the_command_becomes_the_child_with_default_signals(tmp_path: Path, inherited: str):
    status = ["sh", "-c", "echo $$; grep -E 'Sig(Ign|Blk)' /proc/self/status"]
    argv = ["sh", "-c", f'{inherited or ":"}; exec "$@"', "sh", *wrap(status, os.getpid())]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        output, _ = process.communicate()
    pid, _, blocked, _, ignored = output.split()
    assert pid == str(process.pid)
    assert int(blocked, 16) == 0
    # Signals 32 and 33 belong to the C library: no program can set them, so whatever was inherited stays.
    assert int(ignored, 16) & 0x7FFF_FFFF == 0


@contextmanager
def _supervisor(directory: Path, *children: str) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-m", "tests.embedded.supervisor.run_stack", str(directory), *children]
    with (directory / "terminal").open("ab") as terminal:
        process = subprocess.Popen(argv, cwd=REPOSITORY, stdout=terminal, stderr=terminal)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_up(directory: Path) -> None:
    wait_until((directory / "up").exists, "the stack is up", seconds=30)


def _family(supervisor: subprocess.Popen[bytes]) -> list[int]:
    return [process.pid for process in psutil.Process(supervisor.pid).children(recursive=True)]


def _assert_gone(pids: list[int]) -> None:
    assert pids
    wait_until(lambda: not any(map(is_alive, pids)), "all processes are gone")


def _start_and_stop(directory: Path) -> None:
    """Start another stack on the same directory: no lock is left."""
    (directory / "up").unlink()
    with _supervisor(directory, "a") as supervisor:
        _wait_up(directory)
        supervisor.terminate()
        assert supervisor.wait(20) == 0
