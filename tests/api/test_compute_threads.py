"""Compute threads: the work of one tenant, however long, leaves a thread to the others."""

from __future__ import annotations

import threading
from concurrent.futures import wait

import pytest

from api.runtime.compute_threads import THREADS, ComputeThreads

PATIENCE_S = 30


def test_a_tenant_has_one_thread_and_another_goes_on():
    threads, gate = ComputeThreads(), threading.Event()
    stuck = [threads.submit("theirs", gate.wait) for _ in range(100)]
    others = [threads.submit(f"t{n}", int, 1) for n in range(20)]
    assert wait(others, PATIENCE_S).not_done == set()
    assert not any(one.done() for one in stuck)
    gate.set()
    assert wait(stuck, PATIENCE_S).not_done == set()


def test_tenants_take_turns_and_each_keeps_its_order():
    threads, done = ComputeThreads(), list[str]()
    gates = [threading.Event() for _ in range(THREADS)]
    held = [threads.submit(f"held-{n}", gate.wait) for n, gate in enumerate(gates)]
    waiting = [threads.submit(tenant, done.append, f"{tenant}{n}") for tenant in "abc" for n in range(3)]
    gates[0].set()  # one thread does it all
    assert wait(waiting, PATIENCE_S).not_done == set()
    assert done == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]
    for gate in gates:
        gate.set()
    assert wait(held, PATIENCE_S).not_done == set()


def test_what_nobody_waits_for_is_not_begun_and_errors_reach_whoever_waits():
    threads, gate, begun = ComputeThreads(), threading.Event(), threading.Event()
    first = threads.submit("a", _hold, begun, gate)
    assert begun.wait(PATIENCE_S)
    made = list[int]()
    given_up, failing = threads.submit("a", made.append, 1), threads.submit("a", int, "x")
    assert given_up.cancel()
    gate.set()
    first.result(PATIENCE_S)
    with pytest.raises(ValueError, match="invalid literal"):
        failing.result(PATIENCE_S)
    assert made == []


def _hold(begun: threading.Event, gate: threading.Event) -> None:
    begun.set()
    gate.wait()
