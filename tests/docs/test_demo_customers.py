"""Customers of the demo: each is offered something, or a policy is the reason, for any request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from rapport.demo.shop import ShopApi

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fixtures.demo import RunningDemo

AT_ONCE: Final = 200
BY_POLICY: Final = frozenset({"consent", "contact_policy"})


def customers(demo: RunningDemo) -> Sequence[str]:
    """List all customers who have bought something, but for those that tests have made."""
    query = "SELECT DISTINCT customer_id FROM interactions WHERE tenant_id = 'demo' AND offer_id = 'compact-discs'"
    curl = 'curl -s -u "$CLICKHOUSE_USER:$CLICKHOUSE_PASSWORD" "$CLICKHOUSE_URL/?database=rapport"'
    return sorted(demo.shell(f'{curl} -d "{query}"').stdout.split())


def check(demo: RunningDemo, some: Sequence[str]) -> None:
    found = ShopApi(demo.url, demo.key).post("/simulate", {"customerIds": some})
    assert found["sampleSize"] == len(some)
    assert found["reachableCustomers"] + sum(found["emptyReasons"].values()) == len(some)
    assert found["emptyReasons"].keys() <= BY_POLICY


def test_the_request_of_the_tutorial_is_answered_with_offers(demo: RunningDemo):
    asked = {"customerId": "00002", "attributes": {"tier": "gold"}}
    body = ShopApi(demo.url, demo.key).post("/recommend", asked)
    assert (body["count"], body["meta"]["emptyReason"]) == (3, None)
    assert {one["stage"] for one in body["meta"]["notShown"]} <= {"qualify", "rank", "contact_policy"}


def test_a_sample_of_the_customers_is_offered_something(demo: RunningDemo):
    check(demo, customers(demo)[::250])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_customer_is_offered_something(demo: RunningDemo):
    everybody = customers(demo)
    assert len(everybody) == 23_570
    for start in range(0, len(everybody), AT_ONCE):
        check(demo, everybody[start : start + AT_ONCE])
