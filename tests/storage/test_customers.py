from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from rapport.domain.customers.customer import Attributes, CustomerKey
from rapport.storage.catalogue_changes import Author
from rapport.storage.customers import (
    MAX_CUSTOMERS,
    CurrentCustomers,
    change_customers,
    find_customer,
    load_customers,
    load_history,
    load_snapshots,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rapport.storage.client import Store

ANNA = Author("anna")


def put(store: Store, tenant_id: str = "t1", **customers: Attributes | None) -> dict[str, int]:
    return change_customers(
        store, tenant_id, ANNA, customers.keys(), lambda before: {name: customers[name] for name in before}
    )


def read_attributes(store: Store, name: str, tenant_id: str = "t1") -> Attributes | None:
    found = find_customer(store, tenant_id, name)
    return None if found is None else found.attributes


def test_a_customer_is_found_by_its_tenant_only(store: Store):
    ann = {"age": 33, "name": "Ann", "tags": ["a", {"b": None}], "rate": 1.0}
    assert put(store, ann=ann, bob={}) == {"ann": 1, "bob": 1}
    found = find_customer(store, "t1", "ann")
    assert found is not None
    assert (found.attributes, found.version, found.changed_by, found.is_deleted) == (ann, 1, "anna", False)
    assert abs(found.created_at_ms - time.time() * 1000) < 60_000
    assert load_customers(store, "t1", ["ann", "bob", "eve"]).keys() == {"ann", "bob"}
    assert load_customers(store, "t2", ["ann", "bob"]) == {}


@pytest.mark.parametrize("other", [{"a": True}, {"a": 1.0}, {"a": "1"}, {}, {"a": 1, "b": None}, None])
def test_only_a_difference_makes_a_version(store: Store, other: Attributes | None):
    put(store, ann={"a": 1})
    assert put(store, ann={"a": 1}) == {}
    assert put(store, ann=other) == {"ann": 2}
    assert put(store, ann=other) == {}


def test_a_deleted_customer_keeps_the_history_and_can_be_created_again(store: Store):
    put(store, ann={"a": 1})
    put(store, ann=None)
    assert find_customer(store, "t1", "ann") is None
    assert store.client.query("SELECT count() FROM customers").result_rows == [(0,)]
    assert put(store, ann={"a": 1}) == {"ann": 3}
    history, total = load_history(store, "t1", "ann")
    assert total == 3
    assert [(one.version, one.attributes, one.is_deleted) for one in history] == [
        (3, {"a": 1}, False),
        (2, {}, True),
        (1, {"a": 1}, False),
    ]
    older, _ = load_history(store, "t1", "ann", before_version=3, limit=1)
    assert [one.version for one in older] == [2]
    assert load_history(store, "t2", "ann") == ([], 0)


def test_of_two_attempts_at_a_version_the_second_is_decided_again(store: Store):
    seen: list[Any] = []

    def decide(before: CurrentCustomers) -> Mapping[str, Attributes | None]:
        seen.append({name: one and one.attributes for name, one in before.items()})
        if len(seen) == 1:
            put(store, ann={"n": 1})
        return {name: {"n": one.attributes["n"] + 1 if one else 0} for name, one in before.items()}

    made = change_customers(store, "t1", ANNA, ["ann", "bob"], decide)
    assert made == {"ann": 2, "bob": 1}
    assert seen == [{"ann": None, "bob": None}, {"ann": {"n": 1}}]
    assert (read_attributes(store, "ann"), read_attributes(store, "bob")) == ({"n": 2}, {"n": 0})
    assert store.client.query("SELECT version, attributes FROM customers ORDER BY customer_id").result_rows == [
        (2, '{"n":2}'),
        (1, '{"n":0}'),
    ]
    assert [one.attributes for one in load_history(store, "t1", "ann")[0]] == [{"n": 2}, {"n": 1}]


def test_concurrent_changes_all_count(store: Store):
    names = [f"c{number}" for number in range(5)]

    def count_up(_: int) -> None:
        def decide(before: CurrentCustomers) -> Mapping[str, Attributes | None]:
            return {name: {"n": one.attributes["n"] + 1 if one else 1} for name, one in before.items()}

        change_customers(store, "t1", ANNA, names, decide)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count_up, range(12)))
    assert {read_attributes(store, name)["n"] for name in names} == {12}  # type: ignore[index]
    assert [one.version for one in load_history(store, "t1", "c0")[0]] == list(range(12, 0, -1))


def test_snapshots_of_many_tenants_are_loaded_in_the_order_of_the_keys(store: Store):
    put(store, ann={"a": 1}, bob={"b": 1})
    put(store, "t2", ann={"a": 2})
    put(store, bob=None)
    keys = [CustomerKey("t2", "ann"), CustomerKey("t1", "eve"), CustomerKey("t1", "bob"), CustomerKey("t1", "ann")]
    assert [one.attributes for one in load_snapshots(store, keys)] == [{"a": 2}, None, None, {"a": 1}]


def test_too_many_customers_in_one_change_are_refused(store: Store):
    with pytest.raises(ValueError, match="too many"):
        change_customers(store, "t1", ANNA, [str(number) for number in range(MAX_CUSTOMERS + 1)], lambda _before: {})
