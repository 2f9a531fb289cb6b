from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from rapport.domain.customers.customer import CustomerKey
from rapport.domain.profiles.consent import ConsentSource, ConsentStatement, ConsentStatus
from rapport.storage.catalogue_changes import Author
from rapport.storage.consents import CustomerStatement, load_consents, load_statements, record_consents
from rapport.storage.customers import load_snapshots

if TYPE_CHECKING:
    from rapport.storage.client import Store

ANNA = Author("anna", "trace")
GRANTED = ConsentStatement(
    purpose="email", status=ConsentStatus.GRANTED, source=ConsentSource.IMPORT, stated_at_ms=1_000
)
PENDING = ConsentStatement(purpose="email", status=ConsentStatus.PENDING, source=ConsentSource.API, stated_at_ms=2_000)
REVOKED = ConsentStatement(
    purpose="email", status=ConsentStatus.REVOKED, source=ConsentSource.MANUAL, stated_at_ms=2_000
)


def record(store: Store, *statements: ConsentStatement, tenant_id: str = "t1", customer_id: str = "ann") -> None:
    record_consents(store, tenant_id, ANNA, [CustomerStatement(customer_id, one) for one in statements])


@pytest.mark.parametrize("order", list(itertools.permutations((GRANTED, PENDING, REVOKED))))
def test_the_latest_and_strictest_statement_counts_in_any_order(store: Store, order: tuple[ConsentStatement, ...]):
    for one in order:
        record(store, one)
        record(store, one)
    (consent,) = load_consents(store, "t1", ["ann", "bob"])["ann"]
    assert (consent.purpose, consent.status, consent.source) == ("email", ConsentStatus.REVOKED, ConsentSource.MANUAL)
    assert (consent.stated_at_ms, consent.granted_at_ms, consent.revoked_at_ms) == (2_000, 1_000, 2_000)
    assert load_snapshots(store, [CustomerKey("t1", "ann")])[0].consents == {"email": "revoked"}


def test_every_statement_is_kept_once_for_its_own_tenant(store: Store):
    for _ in range(2):
        record(store, GRANTED, REVOKED)
    record(store, GRANTED, tenant_id="t2")
    kept = load_statements(store, "t1", "ann")
    assert [(one.status, one.stated_at_ms, one.changed_by) for one in kept] == [
        (ConsentStatus.REVOKED, 2_000, "anna"),
        (ConsentStatus.GRANTED, 1_000, "anna"),
    ]
    assert load_consents(store, "t2", ["ann"])["ann"][0].status is ConsentStatus.GRANTED
    assert load_consents(store, "t3", ["ann"]) == {}


def test_purposes_are_independent(store: Store):
    record(store, GRANTED, ConsentStatement(purpose="newsletter", status=ConsentStatus.REVOKED, stated_at_ms=5_000))
    kept = load_snapshots(store, [CustomerKey("t1", "ann"), CustomerKey("t1", "bob")])
    assert [one.consents for one in kept] == [{"email": "granted", "newsletter": "revoked"}, {}]
