"""Customers' values: kept, worked out anew, and compared with the tenant's other customers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from api.http.times import iso
from rapport.domain.api_keys import Role
from rapport.domain.periods import DAY_MS
from tests.api.decision_catalogue import api_with_clock

if TYPE_CHECKING:
    from tests.faults.world import World
    from tests.fixtures.api import Caller, CallerFactory

NOW_MS: Final = time.time_ns() // 1_000_000


def bought(customer: str, days_ago: float, value: float) -> dict[str, Any]:
    at = iso(NOW_MS - round(days_ago * DAY_MS))
    return {"customerId": customer, "outcome": "convert", "conversionValue": value, "timestamp": at}


def test_a_value_says_what_it_is_computed_from(api_world: World, new_caller: CallerFactory):
    caller = new_caller()
    caller.record(bought("ann", 5, 60), bought("ann", 9, 300), bought("bob", 40, 10), bought("cat", 2, 1))
    with api_with_clock(api_world) as (client, clock):
        clock.at_ms = NOW_MS
        here = caller.at(client)
        assert here.read("/customers/ann/clv", role=Role.VIEWER) == {
            "customerId": "ann",
            "clvScore": 72,
            "predictedRevenue": 1440.0,
            "churnProbability": 0.119,
            "rfmRecency": 5,
            "rfmFrequency": 2,
            "rfmMonetary": 360.0,
            "segment": "high",
            "computedAt": iso(NOW_MS),
            "source": "computed",
        }
        assert here.read("/customers/bob/clv")["segment"] == "at_risk"


def test_a_value_is_kept_until_it_is_too_old_or_asked_for_anew(api_world: World, new_caller: CallerFactory):
    caller = new_caller()
    caller.record(bought("ann", 1, 10))
    with api_with_clock(api_world, RAPPORT_API_CLV_MAX_AGE_S="3600") as (client, clock):
        here = caller.at(client)
        clock.at_ms = NOW_MS
        assert here.read("/customers/ann/clv")["source"] == "computed"
        here.record(bought("ann", 1, 5))
        clock.at_ms = NOW_MS + 3_600_000
        kept = here.read("/customers/ann/clv")
        assert (kept["source"], kept["rfmMonetary"], kept["computedAt"]) == ("cached", 10, iso(NOW_MS))
        clock.at_ms += 1
        newer = here.read("/customers/ann/clv")
        assert (newer["source"], newer["rfmMonetary"], newer["computedAt"]) == ("computed", 15, iso(clock.at_ms))
        here.record(bought("ann", 1, 5))
        here.read("/interaction-history", params={"customerId": "ann"})
        clock.at_ms += 1
        forced = here.post("/customers/ann/clv", role=Role.EDITOR)
        assert (forced.status_code, forced.json()["rfmMonetary"], forced.json()["source"]) == (200, 20, "computed")


def test_all_values_of_a_tenant_are_worked_out_together(caller: Caller, new_caller: CallerFactory):
    other = new_caller()
    other.record(bought("dan", 1, 1))
    other.read("/interaction-history", params={"customerId": "dan"})
    caller.record(*(bought(f"c{number}", 1, number) for number in range(8)), bought("away", 31, 1))
    caller.read("/interaction-history", params={"customerId": "away"})
    answer = caller.post("/clv/compute", role=Role.EDITOR)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["customersProcessed"] == 9
    assert body["segments"] == {"high": 3, "medium": 4, "low": 1, "at_risk": 1}
    assert caller.get("/customers/c7/clv").json()["computedAt"] == body["computedAt"]
    assert caller.get("/customers/c7/clv").json()["source"] == "cached"


def test_a_customer_who_was_never_contacted_is_worth_nothing(caller: Caller):
    found = caller.read("/customers/nobody/clv")
    assert (found["clvScore"], found["segment"], found["rfmRecency"], found["churnProbability"]) == (
        0,
        "low",
        None,
        None,
    )


@pytest.mark.parametrize("path", ["/customers/ann/clv", "/clv/compute"])
def test_viewers_do_not_have_values_worked_out(caller: Caller, path: str):
    assert caller.post(path, role=Role.VIEWER).status_code == 403
