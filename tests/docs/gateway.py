"""A gateway before the API that refuses requests or loses answers, as planned by a test."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

LOST: Final = 0
"""The request goes through; its answer becomes 503."""
_PASSED_ON: Final = ("x-api-key", "content-type", "x-min-position")


@dataclass(slots=True)
class Gateway:
    """Plan and record of the gateway.

    Attributes:
        url: Its URL.
        plan: Handling of the next requests: a status it answers itself with ``Retry-After: 7``, or `LOST`; after the
            plan, every request goes through.
        bodies: Bodies of the requests.
        queries: Query strings of the requests.
    """

    url: str = ""
    plan: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)


@contextmanager
def gateway_to(target: str) -> Iterator[Gateway]:
    """Run a gateway to an API."""
    gateway = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve(None)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            gateway.bodies.append(body)
            self._serve(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def _serve(self, body: bytes | None) -> None:
            gateway.queries.append(self.path)
            planned = gateway.plan.pop(0) if gateway.plan else None
            status, answer = (planned, b"") if planned else self._forward(body)
            self.send_response(503 if planned == LOST else status)
            if planned is not None:
                answer = b"<h1>Try again later</h1>"
                self.send_header("Retry-After", "7")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _forward(self, body: bytes | None) -> tuple[int, bytes]:
            headers = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
            request = urllib.request.Request(  # noqa: S310 - the API's own http URL
                target + self.path, data=body, headers=headers, method=self.command
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - likewise
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    gateway.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield gateway
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
