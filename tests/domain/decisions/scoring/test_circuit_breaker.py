from __future__ import annotations

from rapport.domain.decisions.scoring.circuit_breaker import CircuitState


def failed(times: int, now_ms: int = 0) -> CircuitState:
    state = CircuitState()
    for _ in range(times):
        state = state.after_failure(now_ms)
    return state


def test_the_fifth_failure_in_a_row_opens_a_circuit_for_60_seconds():
    assert not failed(4).is_open(0)
    assert failed(5).is_open(0)
    assert failed(5).is_open(59_999)
    assert not failed(5).is_open(60_000)


def test_a_success_resets_the_count_of_failures():
    assert not failed(4).after_success().after_failure(0).is_open(0)


def test_a_retry_closes_the_circuit_or_opens_it_again_at_once():
    assert not failed(5).after_success().is_open(60_000)
    assert failed(5).after_failure(60_000).is_open(119_999)
    assert not failed(5).after_failure(60_000).is_open(120_000)


def test_failures_while_a_circuit_is_open_do_not_keep_it_open():
    assert not failed(5).after_failure(30_000).is_open(60_000)
