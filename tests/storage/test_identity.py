from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from rapport.domain.catalogue.strategy import MetricDefinition
from rapport.domain.customers.customer import CustomerSnapshot
from rapport.domain.customers.merge import merge_snapshots
from rapport.domain.decisions.contact_facts import FactsQuery
from rapport.domain.decisions.facts import Counts
from rapport.domain.periods import DAY_MS
from rapport.domain.profiles.consent import find_withheld_purposes
from rapport.domain.profiles.identity import MergeStatement
from rapport.domain.tenants import TenantSettings
from rapport.storage.catalogue_changes import Author
from rapport.storage.decision_facts import read_facts
from rapport.storage.identity import (
    Identifier,
    append_links,
    append_statement,
    list_identifiers,
    read_merge_stamp,
    read_merges,
    resolve_identifier,
)
from tests.storage.contact_log import NOW, TYPES, WINDOWS, Log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rapport.storage.client import Store

ME = Author("tests")


def test_merges_and_undone_merges_are_stored_in_order_per_tenant(store: Store):
    assert read_merge_stamp(store, "acme") == read_merge_stamp(store, "kiwi")
    merge = MergeStatement("m1", "ann", "bob")
    append_statement(store, "acme", merge, ME)
    stamp = read_merge_stamp(store, "acme")
    assert stamp != read_merge_stamp(store, "kiwi")
    assert read_merges(store, "acme").members("ann") == ("bob", "ann")
    assert read_merges(store, "kiwi").members("ann") == ("ann",)
    append_statement(store, "acme", merge._replace(is_undone=True), ME)
    assert read_merges(store, "acme").members("ann") == ("ann",)
    assert read_merge_stamp(store, "acme") != stamp


def test_an_identifier_belongs_to_the_customer_of_the_latest_link(store: Store):
    append_links(store, "acme", "ann", [Identifier("phone", "123", 0.5), Identifier("device", "d1", 1)], ME)
    append_links(store, "acme", "bob", [Identifier("phone", "123", 0.9)], ME)
    append_links(store, "kiwi", "cid", [Identifier("phone", "123", 0.9)], ME)
    assert resolve_identifier(store, "acme", "phone", "123") == "bob"
    assert resolve_identifier(store, "acme", "email", "123") is None
    named = {
        one: [(i.type, i.value, i.confidence) for i in list_identifiers(store, "acme", [one])] for one in ("ann", "bob")
    }
    assert named == {
        "ann": [("customer_id", "ann", 1.0), ("device", "d1", 1.0)],
        "bob": [("customer_id", "bob", 1.0), ("phone", "123", 0.9)],
    }


@pytest.mark.parametrize("seed", range(3))
def test_facts_of_a_merged_customer_are_exactly_the_sum_of_those_of_the_ids(store: Store, seed: int):
    rng, log = random.Random(seed), Log(store)
    for _ in range(300):
        log.add(
            rng.choice(list(TYPES)),
            NOW - rng.randrange(40 * DAY_MS),
            source=rng.choice(["s/0", "s/1"]),
            customer_id=rng.choice(["ann", "bob", "cid", "dot"]),
            offer_id=rng.choice(["loan", "card"]),
        )
    log.write(applied=0.9)
    members = ("bob", "ann", "dot")

    def asked(**who: Any) -> FactsQuery:
        return FactsQuery(
            tenant_id="acme",
            time_zone="America/New_York",
            customer_zone="Asia/Tokyo",
            now_ms=NOW,
            windows=WINDOWS,
            outcomes=frozenset({"click", "dismiss"}),
            metrics=[MetricDefinition(id="n", name="n", key="n", aggregate_function="count", source_field="*")],
            **who,
        )

    merged, also, *singles = read_facts(
        store,
        [
            asked(customer_id="ann", members=members),
            asked(customer_id="dot", members=members),
            *(asked(customer_id=one) for one in members),
        ],
    )
    assert merged == also
    for window in WINDOWS:
        sums: dict[Any, Counts] = {}
        for one in singles:
            for subject, counts in one.counts.get(window, {}).items():
                sums[subject] = sums.get(subject, Counts()).plus(counts)
        assert merged.counts.get(window, {}) == sums
    assert merged.last_contact_ms == latest(*(one.last_contact_ms for one in singles))
    assert merged.last_outcome_ms == latest(*(one.last_outcome_ms for one in singles))
    assert merged.metrics["n"] == sum(one.metrics["n"] for one in singles) > 0


def latest(*parts: Mapping[Any, int]) -> dict[Any, int]:
    return {key: max(part.get(key, 0) for part in parts) for key in set().union(*parts)}


@pytest.mark.parametrize(
    ("parts", "email_is_withheld"),
    [
        ([({}, {"email": "granted"}), ({}, {"email": "revoked"})], True),
        ([({}, {"email": "pending"}), ({}, {"email": "granted"})], True),
        ([({}, {"email": "granted"}), ({}, {})], False),
        ([({}, {"email": "granted"}), ({"consent_email": "no"}, {})], True),
        ([({"consent_email": True}, {}), ({"consent_email": False}, {})], True),
        ([({"consent_email": True}, {}), ({"age": 9}, {})], False),
    ],
)
def test_an_objection_of_one_id_counts_for_the_person(parts: list[tuple[dict, dict]], *, email_is_withheld: bool):
    for ordered in (parts, parts[::-1]):
        kept = merge_snapshots(
            [CustomerSnapshot(attributes or None, said) for attributes, said in ordered], TenantSettings()
        )
        assert (
            "email" in find_withheld_purposes(kept.consents, kept.attributes or {}, TenantSettings())
        ) is email_is_withheld


def test_the_canonical_ids_attributes_win():
    parts = [CustomerSnapshot({"age": 41}, {}), CustomerSnapshot({"age": 40, "city": "Bonn"}, {})]
    assert merge_snapshots(parts, TenantSettings()).attributes == {"age": 41, "city": "Bonn"}
    assert merge_snapshots([CustomerSnapshot(None, {})], TenantSettings()).attributes is None
