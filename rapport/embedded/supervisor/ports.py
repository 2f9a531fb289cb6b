"""Ports of the local stack: checked before anything starts, always on loopback."""

from __future__ import annotations

import errno
import os
import secrets
import socket
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rapport.embedded.supervisor.errors import PortInUseError

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOPBACK = "127.0.0.1"

FREE_PORTS = range(20_000, 32_768)
"""Ports below Linux's default range for outgoing connections (32768-60999), one of which could take the port between
the death of a server and its restart.
"""


@dataclass(frozen=True, slots=True)
class PortClaim:
    """A port that a child process is going to listen on.

    Attributes:
        number: The TCP port.
        wanted_by: The process that listens there, as the error names it.
        option: The option that changes the port, for example `--broker-port`.
    """

    number: int
    wanted_by: str
    option: str


def check_ports(claims: Iterable[PortClaim]) -> None:
    """Check that every claimed port can be opened, and that no two claims are for the same one.

    Raises:
        PortInUseError: Names every port that cannot be opened, with its process and the option to change it.
    """
    by_number: defaultdict[int, list[PortClaim]] = defaultdict(list)
    for claim in claims:
        by_number[claim.number].append(claim)
    faults = [fault for number, rivals in by_number.items() if (fault := _find_fault(number, rivals))]
    if faults:
        raise PortInUseError("\n".join(faults))


def find_free_port() -> int:
    """Return a loopback port that nothing uses now."""
    return find_free_ports(1)[0]


def find_free_ports(count: int) -> tuple[int, ...]:
    """Return that many different loopback ports that nothing uses now.

    Raises:
        PortInUseError: When far too many tries found no free port.
    """
    with ExitStack() as held:  # all stay bound until the last is found, so that they differ
        found: list[int] = []
        for _ in range(1_000):
            if len(found) == count:
                return tuple(found)
            port = secrets.choice(FREE_PORTS)
            probe = held.enter_context(socket.socket())
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            found.append(port)
    raise PortInUseError(f"Found no {count} free ports between {FREE_PORTS.start} and {FREE_PORTS.stop - 1}.")


def _find_fault(number: int, rivals: list[PortClaim]) -> str | None:
    wanted_by = " and ".join(claim.wanted_by for claim in rivals)
    options = " or ".join(claim.option for claim in rivals)
    if len(rivals) > 1:
        return f"Port {number} is wanted by {wanted_by}: give each its own with {options}."
    problem = _try_to_open(number)
    if problem is None:
        return None
    if problem.errno == errno.EADDRINUSE:
        return (
            f"Port {number} is already in use, and {wanted_by} wants it: "
            f"stop what listens there, or choose another port with {options}."
        )
    reason = os.strerror(problem.errno) if problem.errno else str(problem)
    return f"Port {number}, which {wanted_by} wants, cannot be opened ({reason}): choose another with {options}."


def _try_to_open(number: int) -> OSError | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the last run may linger
        try:
            probe.bind((LOOPBACK, number))
        except OverflowError as error:
            return OSError(str(error))
        except OSError as error:
            return error
    return None
