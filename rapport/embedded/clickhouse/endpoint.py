"""A ClickHouse HTTP endpoint over chDB, for the local stack: `python -m rapport.embedded.clickhouse.endpoint`.

One process, one data directory, one port on loopback. It speaks the part of ClickHouse's HTTP interface that
clickhouse-connect, curl and BI tools use; the engine is ClickHouse's own. It has one user, `default`, whose password is
in a file, and no TLS, so it refuses to listen anywhere but on loopback. See `rapport.embedded.clickhouse.access` for
the access checks, and engine.xml for the user's rights.

Not supported: KILL QUERY by a client's query id (the engine gives its own, see `system.processes`), the native
compression of `compress=1`, INSERT ... SELECT FROM input(), replicas, the Kafka engine.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from rapport.embedded.clickhouse.access import Access, is_loopback
from rapport.embedded.clickhouse.confinement import confine
from rapport.embedded.clickhouse.engine import Engine
from rapport.embedded.clickhouse.engine_errors import EngineError
from rapport.embedded.clickhouse.http_handlers import Handlers
from rapport.embedded.supervisor.child import die_with
from rapport.garbage import collect_rarely

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_URL_BYTES = 1 << 20  # ClickHouse's http_max_uri_size

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointOptions:
    """Options of the endpoint's process.

    Attributes:
        data_dir: The engine's directory.
        password_file: Holds the password, so that neither the process list nor the environment does.
        port: TCP port; 0 takes a free one, which the log names.
        host: A loopback address or ``localhost``.
        memory_ratio: Share of the machine's memory for all queries together.
        threads: Most engine calls that run at once.
        stop_seconds: Longest time a stop waits for queries in flight.
    """

    data_dir: Path
    password_file: Path
    port: int
    host: str = "127.0.0.1"
    memory_ratio: float = 0.5
    threads: int = 12
    stop_seconds: float = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; return the exit code (2 for a fault of the command line or the environment)."""
    options, dies_with_parent = _parse(arguments)
    if dies_with_parent:
        die_with(os.getppid())
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        access = Access(options.password_file.read_text("utf-8").strip())
        with _bind(options.host, options.port) as listener:
            _confine(options.data_dir)
            engine = Engine(options.data_dir, memory_ratio=options.memory_ratio)
            asyncio.run(_serve(engine, access, listener, options))
    except (OSError, ValueError, EngineError) as error:
        log.error("clickhouse endpoint: %s", error)  # noqa: TRY400 - for whoever typed the command, not a traceback
        return 2
    if not engine.wait_idle(1.0):
        log.warning("killing the queries that still run after %g s", options.stop_seconds)
        engine.kill()
        if not engine.wait_idle(5.0):
            logging.shutdown()
            os._exit(1)  # Python would wait for their threads; the engine's files survive this
    engine.close()
    return 0


def _parse(arguments: Sequence[str] | None) -> tuple[EndpointOptions, bool]:
    parser = argparse.ArgumentParser(
        prog="rapport.embedded.clickhouse.endpoint", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="the engine's directory, created when missing")
    parser.add_argument("--password-file", type=Path, required=True, help="holds the password of the user default")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    parser.add_argument("--memory-ratio", type=float, default=0.5, help="share of memory for queries (%(default)s)")
    parser.add_argument("--threads", type=int, default=12, help="engine calls at once (default: %(default)s)")
    parser.add_argument("--stop-seconds", type=float, default=10.0, help="patience with queries when stopping")
    parser.add_argument("--die-with-parent", action="store_true", help="be killed when the parent process dies (Linux)")
    given = vars(parser.parse_args(arguments))
    dies_with_parent = given.pop("die_with_parent")
    options = EndpointOptions(**given)
    if not is_loopback(options.host):
        parser.error(
            f"--host {options.host} is not a loopback address. This endpoint has one user and no TLS: it is for this "
            "machine only. Run a ClickHouse server where others must reach it."
        )
    return options, dies_with_parent


def _confine(data_dir: Path) -> None:
    temporary = data_dir.resolve() / "tmp"
    temporary.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ["TMPDIR"] = str(temporary)  # chDB makes a directory there while it is imported
    if not confine(data_dir):
        log.warning("this system cannot confine the engine: SQL can read the files that this user can, by file()")


def _bind(host: str, port: int) -> socket.socket:
    """Listen, before the engine takes its time to start.

    Raises:
        OSError: Naming the port, when it is in use or cannot be had.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the last run may linger
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        in_use = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        reason = (
            "is already in use: stop what listens there, or choose another" if in_use else f"cannot be had: {error}"
        )
        raise OSError(f"port {port} on {host} {reason} with --port") from error
    return listener


async def _serve(engine: Engine, access: Access, listener: socket.socket, options: EndpointOptions) -> None:
    """Answer requests until a signal comes, then those in flight, for `stop_seconds` at most."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    threads = ThreadPoolExecutor(options.threads, thread_name_prefix="engine")
    handlers = Handlers(engine, threads)
    app = web.Application(middlewares=[access.middleware(engine.version)])
    app.add_routes(handlers.routes())
    runner = web.AppRunner(
        app,
        access_log=None,
        auto_decompress=False,
        max_line_size=MAX_URL_BYTES,
        shutdown_timeout=options.stop_seconds,
    )
    await runner.setup()
    await web.SockSite(runner, listener).start()
    collect_rarely()
    host, port = listener.getsockname()[:2]
    log.info("ClickHouse %s (chDB) on http://%s:%d, data in %s", engine.version, host, port, options.data_dir)
    await stopping.wait()
    await runner.cleanup()
    handlers.close()


if __name__ == "__main__":
    sys.exit(main())
