import socket

import pytest

from rapport.embedded.supervisor.errors import PortInUseError
from rapport.embedded.supervisor.ports import (
    FREE_PORTS,
    LOOPBACK,
    PortClaim,
    check_ports,
    find_free_port,
    find_free_ports,
)


def test_free_ports_differ_and_lie_below_those_of_outgoing_connections():
    ports = find_free_ports(50)
    assert len(set(ports)) == 50
    assert all(port in FREE_PORTS for port in ports)


def test_ports_that_can_be_opened_pass():
    check_ports(PortClaim(port, "somebody", "--port") for port in find_free_ports(3))


def test_every_fault_is_reported_at_once():
    shared = find_free_port()
    with socket.create_server(("0.0.0.0", 0)) as taken:  # noqa: S104 - a listener on all interfaces blocks loopback too
        port = taken.getsockname()[1]
        claims = [
            PortClaim(port, "broker", "--broker-port"),
            PortClaim(shared, "api", "--api-port"),
            PortClaim(shared, "worker", "--worker-port"),
            PortClaim(70_000, "clickhouse", "--clickhouse-port"),
        ]
        with pytest.raises(PortInUseError) as caught:
            check_ports(claims)
    in_use, twice, impossible = str(caught.value).splitlines()
    assert in_use.startswith(f"Port {port} is already in use, and broker wants it")
    assert in_use.endswith("--broker-port.")
    assert twice == f"Port {shared} is wanted by api and worker: give each its own with --api-port or --worker-port."
    assert impossible.startswith("Port 70000, which clickhouse wants, cannot be opened")


def test_lingering_connections_of_an_earlier_run_block_no_port():
    port = find_free_port()
    with socket.create_server((LOOPBACK, port)) as server, socket.create_connection((LOOPBACK, port)) as client:
        accepted, _ = server.accept()
        accepted.close()  # the server closes first: its end goes through TIME_WAIT
        assert client.recv(1) == b""
    check_ports([PortClaim(port, "api", "--api-port")])
