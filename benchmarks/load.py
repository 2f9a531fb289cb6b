"""HTTP load at a fixed rate, or at saturation. Lean, because it shares the machine's cores."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

UNDER_WAY: Final = (64, 256)
"""How many requests are under way at the same time at saturation: few, and many."""
CONNECTIONS: Final = 64
MOST_CONNECTIONS: Final = 512
WARM_UP_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 30.0
_NOT_NOW: Final = (0, 429, 503)
"""No answer in time, and the answers of a server that has too much to do."""
_LENGTH: Final = b"content-length:"

MakeRequest = Callable[[], bytes]
"""Makes the next request, as it goes over the wire."""


class LoadError(RuntimeError):
    """The server does not answer as HTTP/1.1 servers do."""


@dataclass(slots=True)
class LoadResult:
    """Result of an HTTP load.

    Attributes:
        seconds: From the first request counted to the last answer.
        latencies_ms: Of every answer, from the moment the request was due.
        errors: Answers that were wrong: neither a success nor "not now".
        lost: Requests without an answer in time, or answered 429 or 503: the rate could not be reached.
        under_way: Requests at the same time; 0 at a fixed rate.
    """

    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    errors: int = 0
    lost: int = 0
    under_way: int = 0

    @property
    def requests_per_s(self) -> float:
        """Successes per second."""
        return (self.offered - self.errors - self.lost) / self.seconds if self.seconds else 0.0

    @property
    def offered(self) -> int:
        """Requests that were due."""
        return len(self.latencies_ms)

    @property
    def outcome(self) -> str:
        """The result on one line."""
        return f"{self.requests_per_s:,.0f}/s of {self.offered:,} offered, {self.lost:,} lost, {self.errors:,} errors"

    def percentile_ms(self, share: float) -> float:
        """Return a percentile of the latencies; `share` from 0 to 1."""
        ascending = sorted(self.latencies_ms)
        return ascending[min(int(len(ascending) * share), len(ascending) - 1)] if ascending else float("nan")


def encode_request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """Encode a request for the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Connection:
    """One kept-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> int:
        """Send a request and read the whole answer; return its status."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        at = lowered.find(_LENGTH)
        if at < 0 and b" 204 " not in head[:16]:
            raise LoadError(f"an answer without Content-Length: {head[:200]!r}")
        length = int(lowered[at + len(_LENGTH) : lowered.index(b"\r\n", at)]) if at >= 0 else 0
        if length:
            await reader.readexactly(length)
        return int(head[9:12])

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def measure_at_rate(port: int, make: MakeRequest, rate: float, seconds: float) -> LoadResult:
    """Send a fixed number of requests a second, evenly, whether or not the server keeps up."""
    return asyncio.run(_send_at_rate(port, make, rate, seconds))


def measure_saturation(port: int, make: MakeRequest, seconds: float) -> LoadResult:
    """Keep requests under way all the time: once with each of `UNDER_WAY`; return the run with the most answers.

    A run with errors is preferred to any without, so that no error is hidden.
    """
    loads = [asyncio.run(_saturate(port, make, seconds, under_way)) for under_way in UNDER_WAY]
    return max(loads, key=lambda load: (load.errors, load.requests_per_s))


async def _send_at_rate(port: int, make: MakeRequest, rate: float, seconds: float) -> LoadResult:
    load, idle, tasks = LoadResult(), [_Connection(port) for _ in range(CONNECTIONS)], set[asyncio.Task[None]]()
    free = asyncio.Semaphore(MOST_CONNECTIONS)
    started_at = time.perf_counter()
    counted_from = started_at + WARM_UP_SECONDS

    async def send(due_at: float) -> None:
        async with free:
            connection = idle.pop() if idle else _Connection(port)
            await _ask(connection, make(), due_at, load if due_at >= counted_from else LoadResult())
            idle.append(connection)

    for number in range(int(rate * (WARM_UP_SECONDS + seconds))):
        due_at = started_at + number / rate
        if (early_s := due_at - time.perf_counter()) > 0:
            await asyncio.sleep(early_s)
        task = asyncio.create_task(send(due_at))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    load.seconds = time.perf_counter() - counted_from
    for connection in idle:
        connection.close()
    return load


async def _saturate(port: int, make: MakeRequest, seconds: float, under_way: int) -> LoadResult:
    load = LoadResult(under_way=under_way)
    counted_from = time.perf_counter() + WARM_UP_SECONDS
    ends_at = counted_from + seconds

    async def keep_asking() -> None:
        connection = _Connection(port)
        while (now := time.perf_counter()) < ends_at:
            await _ask(connection, make(), now, load if now >= counted_from else LoadResult())
        connection.close()

    await asyncio.gather(*(keep_asking() for _ in range(under_way)))
    load.seconds = time.perf_counter() - counted_from
    return load


async def _ask(connection: _Connection, request: bytes, due_at: float, load: LoadResult) -> None:
    status = 0
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
        status = await _wait_for(connection.ask(request))
    if status in _NOT_NOW:
        load.lost += 1
    elif not 200 <= status < 300:
        load.errors += 1
    if not status:
        connection.close()
    load.latencies_ms.append((time.perf_counter() - due_at) * 1000)


async def _wait_for(answer: Awaitable[int]) -> int:
    async with asyncio.timeout(ANSWER_SECONDS):
        return await answer
