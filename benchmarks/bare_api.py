"""Upper bound of decisions: a Valkey read, an acknowledged Kafka message and an answer of the same size, no decision.

No API in this language on this broker and this Valkey can beat it: Litestar on Granian, redis-py, aiokafka. Run as
`python -m benchmarks.bare_api` with the API's environment.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from litestar import Litestar, get, post
from redis.asyncio import Redis

from rapport.embedded.supervisor.child import die_with
from rapport.garbage import collect_rarely
from rapport.kafka.clients import make_producer
from rapport.kafka.topics import create_topics
from rapport.settings import from_env

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ANSWER: Final = "BENCH_ANSWER"
"""Variable with the path of an answer of the product: what is returned, and what is written to Kafka."""
TOPIC: Final = "bench-bare"
STATE_KEY: Final = "bench:state"
STATE_BYTES: Final = 2_048
CONNECTIONS: Final = 1_000


def build() -> Litestar:
    """Build the application in a process of its own."""
    die_with(os.getppid())
    collect_rarely()
    settings = from_env(os.environ)
    kafka = msgspec.structs.replace(settings.kafka, topic=TOPIC)
    answer = msgspec.json.decode(Path(os.environ[ANSWER]).read_bytes())
    redis = Redis.from_url(settings.state_url.reveal(), max_connections=CONNECTIONS)
    started: dict[str, Any] = {}

    @asynccontextmanager
    async def connect(_app: Litestar) -> AsyncIterator[None]:
        await create_topics(kafka)
        await redis.set(STATE_KEY, os.urandom(STATE_BYTES))
        producer = make_producer(kafka, linger_ms=1)
        await producer.start()
        started["producer"] = producer
        try:
            yield
        finally:
            await producer.stop()
            await redis.aclose()

    @post("/api/v1/recommend", status_code=200)
    async def recommend(data: dict[str, Any]) -> dict[str, Any]:
        await redis.get(STATE_KEY)
        value = msgspec.json.encode(answer)
        await started["producer"].send_and_wait(TOPIC, value, key=str(data["customerId"]).encode())
        return answer

    @get("/health/ready", sync_to_thread=False)
    def ready() -> dict[str, str]:
        return {"status": "ok"}

    return Litestar([recommend, ready], lifespan=[connect], logging_config=None)


def main() -> None:
    """Serve until SIGTERM."""
    api = from_env(os.environ).api
    Granian(
        "benchmarks.bare_api:build",
        factory=True,
        address=api.host,
        port=api.port,
        interface=Interfaces.ASGI,
        workers=api.workers,
        log_enabled=False,
        http=HTTPModes.http1,
        websockets=False,
    ).serve()


if __name__ == "__main__":
    main()
