"""No request of one tenant delays another's: while an attack is answered, its neighbour is answered within 100 ms.

A busy machine delays any answer. So the same is asked of a server of the test's own that has nothing else to do, at the
same time; what that one is late does not count, and of several attempts the best does.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec
import pytest

from rapport.domain.api_keys import Role
from rapport.domain.catalogue_checks.kinds import KINDS
from rapport.storage.catalogue_changes import Author, EntityChange, change_catalogue
from tests.api.attacks import ATTACKS, Attack
from tests.fixtures.api_process import running_api_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.world import World
    from tests.fixtures.api import CallerFactory

DELAY_S: Final = 0.1
ATTEMPTS: Final = 4
"""The best counts: on a busy machine any answer may be late for reasons of its own."""
ANSWER_S: Final = 30.0
LIVE: Final = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def url(api_world: World) -> Iterator[str]:
    """The API as users run it."""
    with running_api_process(api_world) as address:
        yield address


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_no_request_delays_a_neighbour(url: str, new_caller: CallerFactory, attack: Attack):
    caller = new_caller()
    changes = [EntityChange(kind, msgspec.convert(fields, KINDS[kind])) for kind, fields in attack.before]
    if changes:
        change_catalogue(caller.store, caller.tenant_id, Author("tests"), lambda _before: changes)
    request = _request(attack, caller.keys[Role.ADMIN])
    delays: list[float] = []
    while not delays or (min(delays) > DELAY_S and len(delays) < ATTEMPTS):
        delays.append(_longest_delay(url, request))
    assert min(delays) <= DELAY_S, delays


def _request(attack: Attack, key: str) -> bytes:
    body = attack.body()
    lines = [
        f"{attack.method} {attack.root}{attack.path} HTTP/1.1",
        "Host: x",
        f"X-API-Key: {key}",
        "Connection: close",
    ]
    lines += [f"{name}: {value}" for name, value in attack.headers.items()]
    if body:
        lines += [f"Content-Type: {attack.media_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _longest_delay(url: str, request: bytes) -> float:
    """Return how long the neighbour's slowest request took while the attack was answered, in seconds."""
    answers: list[bytes] = []
    attack = threading.Thread(target=lambda: answers.append(_send(url, request)))
    longest = 0.0
    with _connect(url) as neighbour, _idle_server() as idle:
        _ask(neighbour)
        attack.start()
        while attack.is_alive():
            longest = max(longest, _ask(neighbour) - _ask(idle))
    attack.join()
    status = int(answers[0].split(b" ", 2)[1])
    assert status < 500 or status == 503, answers[0][:2_000]
    return longest


@contextmanager
def _idle_server() -> Iterator[socket.socket]:
    """Connect to a server that answers at once whatever it is asked, from a process of its own."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        with suppress(OSError):
            while theirs.recv(65_536):
                theirs.sendall(b"HTTP/1.1 200 OK")
        os._exit(0)
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        os.waitpid(child, 0)


def _ask(neighbour: socket.socket) -> float:
    began = time.perf_counter()
    neighbour.sendall(LIVE)
    assert neighbour.recv(65_536).startswith(b"HTTP/1.1 200")
    return time.perf_counter() - began


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=ANSWER_S)


def _send(url: str, request: bytes) -> bytes:
    with _connect(url) as connection:
        read = b""
        with suppress(OSError):  # it may be answered before it is read to its end
            connection.sendall(request)
        with suppress(OSError):
            while piece := connection.recv(65_536):
                read = (read + piece)[:4_096]
        return read or b"HTTP/1.1 400 connection closed"
