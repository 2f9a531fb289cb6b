"""Work is repeated while ClickHouse or Kafka is unavailable, and only then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from structlog.testing import capture_logs

from pipeline.retries import retry_while_unavailable
from rapport.storage.errors import TerminalStorageError, TransientStorageError


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat at once."""
    for name in ("FIRST_DELAY_S", "SPREAD_S"):
        monkeypatch.setattr(f"pipeline.retries.{name}", 0.0)


class Action:
    """Fails with one error after the other, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_an_action_is_repeated_until_it_succeeds_and_the_log_says_what_waits():
    action = Action(TransientStorageError("away"), KafkaConnectionError(), OSError("x" * 1_000))
    with capture_logs() as lines:
        assert asyncio.run(retry_while_unavailable(action, "batch")) == "done"
    assert action.calls == 4
    told: list[dict[str, Any]] = [dict(line) for line in lines if line["event"] == "will try again"]
    assert [line["what"] for line in told] == ["batch"] * 3
    assert [len(line["error"]) <= 500 for line in told] == [True] * 3


@pytest.mark.parametrize("error", [TerminalStorageError("refused"), ValueError("a fault of ours")])
def test_another_error_passes_through_at_once(error: Exception):
    action = Action(error)
    with pytest.raises(type(error)):
        asyncio.run(retry_while_unavailable(action, "batch"))
    assert action.calls == 1


def test_before_each_repetition_it_may_be_given_up():
    class GivenUpError(Exception):
        pass

    checks: list[int] = []

    def check() -> None:
        checks.append(1)
        if len(checks) == 2:
            raise GivenUpError

    action = Action(*(TransientStorageError("away") for _ in range(9)))
    with pytest.raises(GivenUpError):
        asyncio.run(retry_while_unavailable(action, "batch", on_retry=check))
    assert action.calls == 2


def test_cancellation_ends_the_repetitions(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.retries.FIRST_DELAY_S", 60.0)

    async def check() -> None:
        action = Action(TransientStorageError("away"))
        task = asyncio.create_task(retry_while_unavailable(action, "batch"))
        for _ in range(10):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert action.calls == 1

    asyncio.run(check())
