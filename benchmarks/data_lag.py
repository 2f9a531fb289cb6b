"""The age that reads state (``X-Data-Lag-Ms``), beside the one that they really have."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from benchmarks.workers import BenchmarkError
from benchmarks.workloads import name_customer
from rapport.embedded.supervisor.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ASK_SECONDS: Final = 0.1
_HEADER: Final = "X-Data-Lag-Ms"


@contextlib.contextmanager
def running_beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run something in a thread until the block ends; the event says that it has."""
    stopping = threading.Event()
    thread = threading.Thread(target=work, args=(stopping,), name=work.__qualname__)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class StatedLag:
    """An answer's header: what it said, and when it was asked for."""

    asked_at: float
    lag_ms: float


class LagReader:
    """Reader of one customer's history, again and again, in a thread of its own.

    Attributes:
        stated: What the answers said.
    """

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._headers = {"X-API-Key": key}
        self._error: Exception | None = None
        self.stated: list[StatedLag] = []

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Read until the block ends.

        Raises:
            BenchmarkError: The API did not answer, or not with the header.
        """
        with running_beside(self._read_all):
            yield
        if self._error is not None:
            raise BenchmarkError(f"the data lag could not be read: {self._error}")

    def _read_all(self, stopping: threading.Event) -> None:
        path = f"/api/v1/interaction-history?customerId={name_customer(1)}&limit=1"
        try:
            with contextlib.closing(http.client.HTTPConnection(LOOPBACK, self._port, timeout=30)) as connection:
                while not stopping.wait(ASK_SECONDS):
                    asked_at = time.perf_counter()
                    connection.request("GET", path, headers=self._headers)
                    answer = connection.getresponse()
                    answer.read()
                    self.stated.append(StatedLag(asked_at, float(answer.headers[_HEADER])))
        except (OSError, http.client.HTTPException, TypeError, ValueError) as error:
            self._error = error


def compute_excess(
    stated: Sequence[StatedLag], logged_at: Sequence[float], seen_at: Sequence[float], *, since: float
) -> list[float]:
    """Compute by how much each stated lag lies above the truth, in milliseconds, ascending; negative if it is too low.

    The truth is the age of the oldest event that was in the log and not yet seen; 0 if all were.

    Args:
        stated: What reads said.
        logged_at: When each event was acknowledged, ascending.
        seen_at: When each of them was seen.
        since: Reads before it do not count.
    """
    all_seen_at = list(accumulate(seen_at, max))
    excess = []
    for one in stated:
        if since <= one.asked_at <= logged_at[-1]:
            oldest = min(logged_at[bisect_right(all_seen_at, one.asked_at)], one.asked_at)
            excess.append(one.lag_ms - (one.asked_at - oldest) * 1000)
    return sorted(excess)
