"""Silent connections, bodies that never arrive and large bodies do not block other clients."""

from __future__ import annotations

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from rapport.domain.api_keys import Role
from tests.embedded.supervisor.toys import is_alive
from tests.fixtures.api import CallerFactory
from tests.fixtures.api_process import running_api_process
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.world import World
    from tests.fixtures.api import Caller

MIB: Final = 1_048_576
IDLE_CONNECTIONS: Final = 2_300
"""More than the backlog of the listening socket."""
LOOKS: Final = 'rapport_query_seconds_count{query="jobs/lease"'


@pytest.fixture(scope="module")
def url(api_world: World) -> Iterator[str]:
    """An API that waits for a body for a second."""
    with running_api_process(api_world, RAPPORT_API_BODY_S="1") as address:
        yield address


@pytest.fixture
def patient_url(api_world: World) -> Iterator[str]:
    """An API with room for large bodies of 3 MiB, one and a half for each tenant, that waits long for them."""
    sizes = {"RAPPORT_API_MAX_BULK_BYTES": str(MIB), "RAPPORT_API_BODY_BUDGET_BYTES": str(4 * MIB)}
    with running_api_process(api_world, **sizes, RAPPORT_API_BODY_S="300") as address:
        yield address


@pytest.fixture(scope="module")
def impatient_url(api_world: World) -> Iterator[str]:
    """An API that waits for the head of a request for a second."""
    with running_api_process(api_world, RAPPORT_API_IDLE_S="1") as address:
        yield address


@pytest.fixture
def key(new_caller: CallerFactory) -> str:
    """A key of a tenant of its own."""
    return _admin(new_caller())


def _admin(caller: Caller) -> str:
    return caller.keys[Role.ADMIN]


def _connect(url: str, said: bytes = b"") -> socket.socket:
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20)
    connection.sendall(said)
    return connection


def _post(key: str, length: int, path: str = "/api/v1/interactions") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"X-API-Key: {key}", "Content-Type: application/x-ndjson"]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def _read_all(connection: socket.socket) -> bytes:
    """Return everything until the other side closes."""
    read = b""
    while piece := connection.recv(65_536):
        read += piece
    return read


SILENT: Final = {
    "silent": b"",
    "half a head": b"GET /health/live HTTP/1.1\r\nHost: x\r\n",
    "keep-alive": b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
}


def test_idle_connections_and_bodies_that_never_come_lock_nobody_out(url: str, key: str):
    said = (*SILENT.values(), _post("nobody's", MIB))
    with ExitStack() as stack:
        for number in range(IDLE_CONNECTIONS):
            stack.enter_context(_connect(url, said[number % len(said)]))
        assert httpx.get(f"{url}/health/live", timeout=10).status_code == 200
        assert httpx.get(f"{url}/api/v1/api-keys", headers={"X-API-Key": key}, timeout=10).status_code == 200


@pytest.mark.parametrize("said", SILENT.values(), ids=SILENT)
def test_a_connection_without_a_whole_head_is_closed(impatient_url: str, said: bytes):
    with _connect(impatient_url, said) as connection:
        _read_all(connection)


def test_a_body_that_does_not_arrive_in_time_is_408_and_its_connection_is_closed(url: str, key: str):
    with _connect(url, _post(key, 1_000) + b'{"customerId"') as connection:
        head, _, body = _read_all(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["code"] == "REQUEST_TIMEOUT"
    assert "within 1 seconds" in json.loads(body)["detail"]


def test_bodies_beyond_the_budget_are_503_while_small_ones_and_other_tenants_get_in(
    patient_url: str, new_caller: CallerFactory
):
    hog, other = _admin(new_caller()), _admin(new_caller())
    piece = b" " * (MIB - 10)

    def post(key: str) -> httpx.Response:
        headers = {"X-API-Key": key, "Content-Type": "application/x-ndjson"}
        return httpx.post(f"{patient_url}/api/v1/interactions", headers=headers, content=piece, timeout=60)

    with _connect(patient_url, _post(hog, MIB) + piece):
        # Until that body has arrived, the next has room: it is read, and has no events.
        wait_until(lambda: post(hog).status_code != 400, "the body that does not end is held")
        refused = post(hog)
        assert (refused.status_code, refused.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert int(refused.headers["retry-after"]) >= 1
        small = httpx.post(f"{patient_url}/api/v1/api-keys", headers={"X-API-Key": hog}, json={}, timeout=60)
        assert small.status_code == 201
        assert post(other).status_code == 400
    wait_until(lambda: post(hog).status_code == 400, "the bytes of a connection that went away are free")


def test_many_that_ask_whether_it_is_ready_wait_for_one_look(url: str):
    looks = _looks(url)
    limits = httpx.Limits(max_keepalive_connections=0)  # this API closes idle connections after a second
    with ThreadPoolExecutor(40) as pool, httpx.Client(timeout=20, limits=limits) as client:
        answers = list(pool.map(lambda _: client.get(f"{url}/health/ready").status_code, range(400)))
    assert set(answers) == {200}
    assert _looks(url) - looks < 40


def _looks(url: str) -> float:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(LOOKS))


def test_no_worker_of_the_api_is_left_by_a_kill(api_world: World):
    with running_api_process(api_world) as url:
        port = url.rpartition(":")[2]
        ours = psutil.Process().children(recursive=True)
        family = [process for process in ours if process.environ().get("RAPPORT_API_PORT") == port]
        (server,) = [process for process in family if process.ppid() == os.getpid()]
        assert len(family) > 1
        server.kill()
        wait_until(lambda: not any(is_alive(process.pid) for process in family), "no process of the API is left")
