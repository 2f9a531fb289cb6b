"""Behaviour of a stack while its supervisor lives; test_orphans.py has the rest."""

from __future__ import annotations

import asyncio
import io
import itertools
import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from rapport.embedded.supervisor.children import Child, HealthPolicy, RestartPolicy, ShutdownPolicy
from rapport.embedded.supervisor.errors import ChildFailedError, DataDirInUseError, PortInUseError, StackError
from rapport.embedded.supervisor.ports import LOOPBACK, PortClaim
from rapport.embedded.supervisor.supervisor import Stack
from tests.embedded.supervisor.toys import is_alive, read_events, read_pid, toy
from tests.fixtures.deadlines import until

if TYPE_CHECKING:
    from pathlib import Path

QUICK = RestartPolicy(limit=3, first_delay_seconds=0.01)


def test_children_start_in_order_once_the_previous_is_ready_and_stop_in_reverse(tmp_path: Path):
    async def scenario() -> None:
        async with _make_stack(tmp_path, toy(tmp_path, "a"), toy(tmp_path, "b"), toy(tmp_path, "c")) as stack:
            assert [stack.pid(name) for name in "abc"] == [read_pid(tmp_path, name) for name in "abc"]

    asyncio.run(scenario())
    events = read_events(tmp_path)
    assert events == [
        *("start a", "ready a", "start b", "ready b", "start c", "ready c"),
        *("stop c", "stop b", "stop a"),
    ]


def test_a_dead_child_is_restarted_and_its_own_children_are_killed(tmp_path: Path):
    async def scenario() -> None:
        async with _make_stack(tmp_path, toy(tmp_path, "web", "parent", on_death=QUICK)) as stack:
            first, grandchild = stack.pid("web"), read_pid(tmp_path, "web", "child")
            assert grandchild is not None
            os.kill(first, signal.SIGKILL)
            await until(lambda: _has_new_pid(tmp_path, "web", first), "web runs again")
            assert not is_alive(grandchild)
            assert stack.failure is None

    asyncio.run(scenario())
    assert read_events(tmp_path).count("start web") == 2
    assert "web was killed by SIGKILL; restarting it in 0.01 s" in _read_log(tmp_path, "rapport")


def test_a_crash_loop_ends_the_stack_and_shows_the_last_lines(tmp_path: Path):
    well, ill = toy(tmp_path, "web"), toy(tmp_path, "web", "crash")
    starts = itertools.chain([well.argv], itertools.repeat(ill.argv))

    async def scenario() -> None:
        web = toy(tmp_path, "web", argv=lambda: next(starts), on_death=QUICK)
        stack = _make_stack(tmp_path, toy(tmp_path, "a"), web)
        await stack.start()
        os.kill(stack.pid("web"), signal.SIGKILL)
        await stack.run_until_stopped()

    with pytest.raises(ChildFailedError) as caught:
        asyncio.run(scenario())
    message = str(caught.value)
    assert message.startswith(
        "web died 3 times within 60 s (last: exited with code 3 before it was ready); the stack ends"
    )
    assert f"Last lines of {tmp_path}/data/logs/web.log:" in message
    assert message.endswith("\n    hello from web")
    assert read_events(tmp_path)[-1] == "stop a"


def test_the_death_of_a_child_that_cannot_be_restarted_ends_the_stack(tmp_path: Path):
    async def scenario() -> None:
        stack = _make_stack(
            tmp_path, toy(tmp_path, "log", on_death=ShutdownPolicy("it is in memory")), toy(tmp_path, "web")
        )
        await stack.start()
        os.kill(stack.pid("log"), signal.SIGKILL)
        await stack.run_until_stopped()

    with pytest.raises(ChildFailedError, match=r"^log was killed by SIGKILL; the stack ends, because it is in memory"):
        asyncio.run(scenario())
    assert read_events(tmp_path)[-1] == "stop web"


def test_the_death_of_a_ready_child_during_the_start_ends_the_start(tmp_path: Path):
    async def is_ready_never() -> bool:
        if (pid := read_pid(tmp_path, "log")) is not None and is_alive(pid):
            os.kill(pid, signal.SIGKILL)
        return False

    children = (
        toy(tmp_path, "log", on_death=ShutdownPolicy("it matters")),
        toy(tmp_path, "web", is_ready=is_ready_never),
    )
    with pytest.raises(ChildFailedError, match=r"^log was killed by SIGKILL; the stack ends, because it matters"):
        asyncio.run(_make_stack(tmp_path, *children).start())


def test_a_child_that_dies_before_it_is_ready_fails_the_start_and_stops_the_others(tmp_path: Path):
    with pytest.raises(ChildFailedError) as caught:
        asyncio.run(_make_stack(tmp_path, toy(tmp_path, "a"), toy(tmp_path, "b", "crash")).start())
    assert str(caught.value).startswith("b exited with code 3 before it was ready.\nLast lines of ")
    assert str(caught.value).endswith("hello from b")
    assert read_events(tmp_path)[-1] == "stop a"


def test_a_child_that_is_not_ready_in_time_fails_the_start(tmp_path: Path):
    with pytest.raises(ChildFailedError, match=r"^b was not ready after 2(\.0)? s \(its check says not ready\)"):
        asyncio.run(_make_stack(tmp_path, toy(tmp_path, "b", "slow", ready_within_seconds=2)).start())
    assert read_events(tmp_path)[-1] in {"start b", "stop b"}


def test_a_missing_command_is_named_in_the_error(tmp_path: Path):
    with pytest.raises(ChildFailedError, match="cannot run /no/such/command: No such file or directory"):
        asyncio.run(_make_stack(tmp_path, toy(tmp_path, "a", argv=["/no/such/command"])).start())


def test_restart_replaces_the_process_and_counts_as_no_death(tmp_path: Path):
    async def scenario() -> None:
        async with _make_stack(tmp_path, toy(tmp_path, "a", on_death=ShutdownPolicy("it matters"))) as stack:
            first = stack.pid("a")
            await stack.restart("a")
            assert stack.pid("a") != first
            assert not is_alive(first)
            assert stack.failure is None
            with pytest.raises(StackError, match="b is not running"):
                await stack.restart("b")

    asyncio.run(scenario())


def test_a_child_that_ignores_sigterm_is_killed_after_a_bounded_wait(tmp_path: Path):
    async def scenario() -> int:
        async with _make_stack(tmp_path, toy(tmp_path, "a", "deaf", stop_within_seconds=0.2)) as stack:
            return stack.pid("a")

    assert not is_alive(asyncio.run(scenario()))
    assert "a did not stop within 0.2 s and was killed" in _read_log(tmp_path, "rapport")


def test_a_child_that_hangs_is_restarted(tmp_path: Path):
    health = HealthPolicy(interval_seconds=0.02, attempt_seconds=0.1, hung_after_seconds=0.1)
    is_well = asyncio.Event()

    async def is_ready() -> bool:
        return is_well.is_set() or read_events(tmp_path).count("ready a") == 2

    async def scenario() -> None:
        is_well.set()
        async with _make_stack(tmp_path, toy(tmp_path, "a", health=health, is_ready=is_ready, on_death=QUICK)) as stack:
            first = stack.pid("a")
            is_well.clear()
            await until(lambda: _has_new_pid(tmp_path, "a", first), "a runs again")

    asyncio.run(scenario())
    assert "a has failed its health check for 0 s (its check says not ready); restarting it" in _read_log(
        tmp_path, "rapport"
    )


def test_a_port_in_use_is_an_error_before_anything_starts(tmp_path: Path):
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        child = toy(tmp_path, "api", ports=(PortClaim(port, "api", "--api-port"),))
        with pytest.raises(PortInUseError) as caught:
            asyncio.run(_make_stack(tmp_path, toy(tmp_path, "a"), child).start())
    assert str(caught.value) == (
        f"Port {port} is already in use, and api wants it: "
        "stop what listens there, or choose another port with --api-port."
    )
    assert read_events(tmp_path) == []


def test_a_second_stack_on_one_data_directory_is_refused_until_the_first_is_gone(tmp_path: Path):
    async def scenario() -> None:
        async with _make_stack(tmp_path, toy(tmp_path, "a")):
            with pytest.raises(DataDirInUseError, match=rf"data is in use by another stack \(process {os.getpid()}\)"):
                await _make_stack(tmp_path, toy(tmp_path, "b")).start()
        async with _make_stack(tmp_path, toy(tmp_path, "b")):
            pass

    asyncio.run(scenario())
    assert "start b" in read_events(tmp_path)


def test_lines_go_to_a_log_file_each_and_with_a_prefix_to_the_terminal(tmp_path: Path):
    terminal = io.StringIO()

    async def scenario() -> None:
        children = toy(tmp_path, "a"), toy(tmp_path, "worker"), toy(tmp_path, "hush", quiet=True)
        async with Stack(children, tmp_path / "data", stream=terminal):
            pass

    asyncio.run(scenario())
    assert [_read_log(tmp_path, name) for name in ("a", "worker", "hush")] == [
        "hello from a\n",
        "hello from worker\n",
        "hello from hush\n",
    ]
    lines = terminal.getvalue().splitlines()
    assert "a       | hello from a" in lines
    assert "worker  | hello from worker" in lines
    assert not any("hello from hush" in line for line in lines)


@pytest.mark.parametrize("names", [("a", "a"), ("rapport",)])
def test_names_of_children_differ(tmp_path: Path, names: tuple[str, ...]):
    with pytest.raises(ValueError, match="names of children must differ"):
        _make_stack(tmp_path, *(toy(tmp_path, name) for name in names))


def test_a_name_that_could_leave_the_log_directory_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="name of a child"):
        toy(tmp_path, "../a")


def _make_stack(directory: Path, *children: Child) -> Stack:
    return Stack(children, directory / "data", stream=io.StringIO())


async def _has_new_pid(directory: Path, name: str, pid: int) -> bool:
    return read_pid(directory, name) not in {None, pid}


def _read_log(directory: Path, name: str) -> str:
    return (directory / "data" / "logs" / f"{name}.log").read_text()
