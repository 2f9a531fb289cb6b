"""A TCP proxy on loopback whose connections a test can cut."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from rapport.embedded.ports import LOOPBACK


class CuttableProxy:
    """Forwards a port to another one until it is cut; then it closes every connection and refuses new ones."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.target_port = 0
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"{LOOPBACK}:{self.port}"

    def cut(self) -> None:
        """Close every connection, and refuse new ones until :meth:`mend`."""
        self._is_cut = True
        asyncio.run_coroutine_threadsafe(self._close_all(), self._loop).result(10)

    def mend(self) -> None:
        """Let connections through again."""
        self._is_cut = False

    async def _close_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        server = await asyncio.start_server(self._forward, LOOPBACK, self.port)
        ready.set()
        async with server:
            await stop.wait()
        await self._close_all()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self.target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        self._writers -= {writer, far_writer}


@contextlib.contextmanager
def running_proxy(port: int) -> Iterator[CuttableProxy]:
    """Run a proxy in a thread of its own."""
    proxy = CuttableProxy(port)
    ready, stop = threading.Event(), asyncio.Event()
    thread = threading.Thread(target=lambda: proxy._loop.run_until_complete(proxy._serve(ready, stop)))
    thread.start()
    ready.wait(10)
    try:
        yield proxy
    finally:
        proxy._loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        proxy._loop.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
