"""Rows of earlier releases, which took any JSON, fail nothing: what cannot be read of them is shown as text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import pytest

from rapport.domain.journeys.progress import LOST
from rapport.domain.json_limits import UNREADABLE
from tests.api.journey_calls import define, enrollments
from tests.api.privacy_calls import read_request
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

STORED: Final = {
    "infinite": '{"n": 1e999}',
    "of 5,000 digits": '{"n": %s}' % ("9" * 5_000),
    "nested": '{"a":' * 970 + "1" + "}" * 970,
}
MILLIS: Final = pl.Datetime("ms", "UTC")
NOW_MS: Final = 1_773_585_000_000


def copy(caller: Caller, table: str, **texts: str) -> None:
    """Store a tenant's only row of a table once more, with other texts."""
    replaced = ", ".join(f"{{{name}:String}} AS {name}" for name in texts)
    caller.store.client.command(
        # The inner query chooses: in the outer one, names mean what replaces the columns.
        f"INSERT INTO {table} SELECT * REPLACE ({replaced}) FROM "
        f"(SELECT * FROM {table} WHERE tenant_id = {{tenant:String}} ORDER BY stored_at LIMIT 1)",
        parameters={"tenant": caller.tenant_id, **texts},
    )


def test_a_history_a_profile_and_an_export_show_events_of_before(caller: Caller):
    caller.record({"customerId": "ann", "outcome": "click"})
    (row,) = caller.read("/interaction-history?customerId=ann")["data"]
    for number, text in enumerate(STORED.values(), 1):
        other = f"{row['id'][:-1]}{number}"
        copy(caller, "interaction_log", id=other, metadata=text, context=text, outcome_details=text)
    for page in ("?customerId=ann", "?", "?customerId=ann&type=click", "?type=click"):
        shown = caller.read(f"/interaction-history{page}")
        assert shown["pagination"]["total"] == 1 + len(STORED), page
        for part in ("response", "context", "outcome"):
            assert {one[part].get(UNREADABLE) for one in shown["data"]} == {None, *STORED.values()}, (page, part)
    assert caller.read("/interaction-history?customerId=ann&limit=2")["pagination"]["hasMore"]
    profile = caller.read("/customers/ann/unified-profile")
    assert [one["error"] for one in profile["sections"] if one.get("error")] == []
    assert caller.read("/customers/ann/unified-profile?format=structured")["interactions"]
    answer = read_request(caller, requestType="export", subjectId="ann", subjectType="customer_id")
    assert answer["status"] == "completed", answer
    exported = answer["result"]["interactions"]
    assert {one["metadata"] for one in exported} == {"", *STORED.values()}


def test_customers_of_before_are_shown(caller: Caller):
    assert caller.ask("PUT", "/customers/ann", json={"attributes": {"tier": "gold"}}).status_code == 201
    for name, text in STORED.items():
        copy(caller, "customer_versions", customer_id=name, attributes=text)
        assert caller.read(f"/customers/{name}")["attributes"] == {UNREADABLE: text}
        assert caller.get(f"/customers/{name}/unified-profile").status_code == 200
        assert caller.post("/recommend", {"customerId": name}).status_code == 200


def test_decisions_of_before_are_listed(caller: Caller):
    for name, text in STORED.items():
        place = {"tenant_id": caller.tenant_id, "customer_id": "ann", "recommendation_id": name, "decided_at": NOW_MS}
        row = {**place, "received_at": NOW_MS, "decision": f'{{"context": {text}}}', "source": "s", "offset": 1}
        moments = {"decided_at": MILLIS, "received_at": MILLIS, "offset": pl.UInt64}
        caller.store.insert("decisions", pl.DataFrame([row], schema_overrides=moments))
        caller.store.insert("decision_places", pl.DataFrame([place], schema_overrides={"decided_at": MILLIS}))
        assert caller.get(f"/decision-traces/{name}").status_code == 409
        assert caller.post(f"/decisions/{name}/replay").status_code == 409
    assert caller.read("/decision-traces?customerId=ann")["total"] == len(STORED)


@pytest.mark.parametrize("text", STORED.values(), ids=STORED)
def test_an_enrolment_whose_state_cannot_be_read_is_shown_and_ends(caller: Caller, text: str):
    define(caller)
    row: dict[str, Any] = {
        "tenant_id": caller.tenant_id,
        "customer_id": "ann",
        "journey_id": "jrn",
        "enrolment_id": "enr",
        "version": 3,
        "change_id": "c",
        "journey_version": 1,
        "status": "active",
        "step": "pause",
        "due_at": NOW_MS,
        "enrolled_at": NOW_MS,
        "ended_at": None,
        "state": json.dumps({"id": "enr", "entry": "entry"}).replace('"entry"}', f"{text}}}"),
    }
    types = {"version": pl.UInt32, "journey_version": pl.UInt32}
    moments = dict.fromkeys(("due_at", "enrolled_at", "ended_at"), MILLIS)
    caller.store.insert("journey_enrolment_versions", pl.DataFrame([row], schema_overrides={**types, **moments}))

    def has_ended() -> bool:
        (shown,) = enrollments(caller)
        assert (shown["id"], shown["entry"]) == ("enr", {UNREADABLE: row["state"]})
        return bool(shown["status"] == "failed")

    wait_until(has_ended, "the worker comes to it", seconds=60)
    assert enrollments(caller)[0]["reason"] == LOST
