"""Requests of customers about their data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from tests.fixtures.api import Caller


def read_request(caller: Caller, **body: str) -> dict[str, Any]:
    """Hand a request in, and what it came to."""
    answer = caller.post("/dsar", body)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    path = f"/dsar/{answer.json()['requestId']}"

    def is_done() -> bool:
        return caller.get(path).json()["status"] in ("completed", "failed")

    wait_until(is_done, "the request is worked on", seconds=90)
    return caller.get(path).json()
