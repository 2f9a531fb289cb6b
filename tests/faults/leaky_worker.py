"""A worker whose consumer loses a part of a fetch, once per partition, as a bug upstream could.

With LEAK=all it loses a whole fetch, so that no later message reveals the hole.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from pipeline.consumer import ProgressConsumer
from pipeline.worker import run_worker
from rapport.logs import configure_logs
from rapport.settings import from_env

LOSES = slice(5, 25) if os.environ.get("LEAK") != "all" else slice(None)


class LeakyConsumer(ProgressConsumer):
    """Consumer that drops some messages of the second fetch of each partition."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fetches: dict[Any, int] = {}

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        records, active = await super()._wait_next_records(timeout)
        for tp, fetched in (records or {}).items():
            self._fetches[tp] = self._fetches.get(tp, 0) + 1
            if self._fetches[tp] == 2:
                del fetched[LOSES]
        records = {tp: fetched for tp, fetched in (records or {}).items() if fetched}
        return records, active


def main() -> None:
    """Run the worker with the leak."""
    import pipeline.consumer as module  # noqa: PLC0415 - to replace a name in it

    module.ProgressTransport.Consumer = LeakyConsumer  # type: ignore[misc]
    settings = from_env(os.environ)
    configure_logs(settings)
    sys.exit(asyncio.run(run_worker(settings)))


if __name__ == "__main__":
    main()
