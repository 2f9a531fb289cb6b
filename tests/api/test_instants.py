"""Times that may be seconds or dates without separators are refused wherever a time is taken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

SECONDS = 1_773_585_000
AMBIGUOUS = [SECONDS, "1773585000", "202603151430", "260315143000"]
EVENT = {"customerId": "ann", "outcome": "click", "creativeId": "cr", "channelId": "web"}


@pytest.mark.parametrize("given", AMBIGUOUS)
def test_an_event_that_may_be_of_1970_is_refused(caller: Caller, given: Any):
    answer = caller.post("/respond", {**EVENT, "timestamp": given, "idempotencyKey": "a"})
    assert answer.status_code == 400, answer.text
    assert [fault["field"] for fault in answer.json()["details"]] == ["timestamp"]
    line = json.dumps({**EVENT, "timestamp": given, "idempotencyKey": "a"}).encode()
    answer = caller.post("/interactions", content=line, headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("given", AMBIGUOUS)
def test_a_later_revocation_never_loses_against_a_grant_of_1970(caller: Caller, given: Any):
    grant = {"purpose": "email", "status": "granted", "statedAt": given}
    answer = caller.ask("PUT", "/customers/ann/consents", json={"consents": [grant]})
    assert answer.status_code == 400, answer.text
    assert [fault["field"] for fault in answer.json()["details"]] == ["consents[0].statedAt"]
    table = f"customer_id,purpose,status,statedAt\nann,email,granted,{given}\n".encode()
    answer = caller.post("/consents", content=table, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 400, answer.text
    assert "statedAt" in answer.text


@pytest.mark.parametrize(
    ("route", "name"),
    [
        ("/interaction-history", "from"),
        ("/interaction-history", "to"),
        ("/decision-traces", "from"),
        ("/experiments/x/results", "to"),
        ("/audit-logs", "from"),
    ],
)
@pytest.mark.parametrize("given", AMBIGUOUS)
def test_a_filter_that_may_be_seconds_is_refused(caller: Caller, route: str, name: str, given: Any):
    answer = caller.ask("GET", route, params={name: given})
    assert answer.status_code == 400, answer.text
    assert [fault["field"] for fault in answer.json()["details"]] == [name]
