"""The ``rapport`` command as users run it: a process of its own, in a directory of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

from rapport.embedded.stack import StackPorts
from tests.embedded.supervisor.toys import is_alive
from tests.fixtures.deadlines import wait_until
from tests.fixtures.processes import run_in_keeper

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from rapport.embedded.stack import StackPorts

RAPPORT = [sys.executable, "-P", "-m", "rapport"]
TIMEOUT_S = 150


class RunningCommand:
    """A command that stays up.

    Args:
        process: The process.
        log: File of its output.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def output(self) -> str:
        """Its output so far."""
        return self._log.read_text("utf-8", "replace")

    def wait_for(self, text: str, *, times: int = 1, seconds: float = 240.0) -> None:
        """Wait until its output holds a text, or fail with the output."""

        def has_come() -> bool:
            assert self.process.poll() is None, f"it ended before it wrote {text!r}:\n{self.output}"
            return self.output.count(text) >= times

        wait_until(has_come, f"{text!r} in the output", seconds=seconds)

    def family(self) -> list[int]:
        """List the process ids of its descendants."""
        return [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]

    def stop(self, number: int) -> int:
        """Send a signal, wait for the end, check that no process is left, and return the exit code."""
        family = self.family()
        assert family
        self.process.send_signal(number)
        code = self.process.wait(60)
        wait_until(lambda: not any(map(is_alive, family)), "all processes are gone")
        return code


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a user who has set these variables and none of ours."""
    ours = ("KAFKA_", "CLICKHOUSE_", "RAPPORT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | variables


def run(*arguments: str, env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*RAPPORT, *arguments],
        env=dict(env),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@contextmanager
def running(*arguments: str, env: Mapping[str, str], cwd: Path) -> Iterator[RunningCommand]:
    """Start a command that stays up, and kill it at the end unless it has ended."""
    log = cwd / f"{arguments[0]}.output"
    with log.open("wb") as output:
        process = run_in_keeper(
            lambda: subprocess.Popen(
                [*RAPPORT, *arguments], env=dict(env), cwd=cwd, stdout=output, stderr=subprocess.STDOUT
            )
        )
    try:
        yield RunningCommand(process, log)
    finally:
        process.kill()
        process.wait()


def port_arguments(ports: StackPorts) -> list[str]:
    names = {
        "--kafka-port": ports.kafka,
        "--clickhouse-port": ports.clickhouse,
        "--worker-port": ports.worker,
        "--api-port": ports.api,
        "--jobs-port": ports.jobs,
        "--state-port": ports.state,
    }
    return [part for name, port in names.items() for part in (name, str(port))]
