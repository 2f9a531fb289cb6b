"""A TCP proxy on loopback whose connections a test can cut."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from rapport.embedded.supervisor.ports import LOOPBACK


class CuttableProxy:
    """Proxy that forwards a port to another one until it is cut; then it closes and refuses every connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.target_port = 0
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event

    @property
    def address(self) -> str:
        """Address for clients."""
        return f"{LOOPBACK}:{self.port}"

    def cut(self) -> None:
        """Close every connection, and refuse new ones until :meth:`mend`."""
        self._is_cut = True
        asyncio.run_coroutine_threadsafe(self._close_all(), self._loop).result(10)

    def mend(self) -> None:
        """Forward connections again."""
        self._is_cut = False

    def stop(self) -> None:
        """Close every connection, and the port."""
        self._loop.call_soon_threadsafe(self._stop.set)

    async def _close_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def serve(self, ready: threading.Event) -> None:
        """Forward until :meth:`stop`."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._forward, LOOPBACK, self.port)
        ready.set()
        async with server:  # asyncio leaks what it accepts while a server closes: refuse first, then close
            await self._stop.wait()
            self._is_cut = True
            await self._drain()
        await self._drain()

    async def _drain(self) -> None:
        """Wait until no connection is being opened or forwarded, and every transport has reported its end."""
        while forwarding := asyncio.all_tasks() - {asyncio.current_task()}:
            await self._close_all()
            await asyncio.wait(forwarding, timeout=0.05)
        await asyncio.sleep(0.05)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._is_cut:
                raise ConnectionRefusedError
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self.target_port)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(far_writer)
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        self._writers -= {writer, far_writer}


@contextlib.contextmanager
def running_proxy(port: int) -> Iterator[CuttableProxy]:
    """Run a proxy in a thread of its own."""
    proxy = CuttableProxy(port)
    ready = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(proxy.serve(ready)))
    thread.start()
    ready.wait(10)
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join(10)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
