from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from rapport.domain.catalogue.inventory import Channel, Offer
from rapport.domain.catalogue.values import Status
from rapport.storage.catalogue import (
    StoredCatalogue,
    load_catalogue,
    load_catalogue_at,
    load_history,
    read_catalogue_stamp,
)
from rapport.storage.catalogue_changes import Author, EntityChange, append_versions, change_catalogue

if TYPE_CHECKING:
    from rapport.domain.catalogue.values import Entity
    from rapport.storage.client import Store

ANNA = Author("anna")
LOAN = Offer(id="loan", name="Loan", priority=70, tags=["credit"])
EMAIL = Channel(id="email", name="Email", channel_type="email")


def put(store: Store, *changes: EntityChange, tenant_id: str = "t1") -> StoredCatalogue:
    return change_catalogue(store, tenant_id, ANNA, lambda _before: changes)


def offer(entity: Entity) -> EntityChange:
    return EntityChange("offer", entity)


def test_a_stored_entity_is_loaded_unchanged(store: Store):
    after = put(store, offer(LOAN), EntityChange("channel", EMAIL))
    assert after == load_catalogue(store, "t1")
    assert after.entities["offer"] == [LOAN]
    assert after.entities["channel"] == [EMAIL]
    assert after.stamp == read_catalogue_stamp(store, "t1") == "1"
    record = after.records["offer"]["loan"]
    assert (record.version, record.changed_by, record.is_deleted) == (1, "anna", False)
    assert abs(record.created_at_ms - time.time() * 1000) < 60_000


def test_tenants_see_only_their_own_catalogue(store: Store):
    put(store, offer(LOAN))
    assert load_catalogue(store, "t2").entities["offer"] == []
    assert read_catalogue_stamp(store, "t2") == "0"


def test_a_deleted_entity_leaves_the_catalogue_but_keeps_its_history(store: Store):
    put(store, offer(LOAN))
    dearer = Offer(id="loan", name="Loan", priority=90)
    put(store, offer(dearer))
    after = put(store, EntityChange("offer", dearer, is_deleted=True))
    assert after.entities["offer"] == []
    assert after.find("offer", "loan") is None
    history = load_history(store, "t1", "offer", "loan")
    assert [(one.version, one.entity, one.is_deleted) for one in history] == [
        (3, dearer, True),
        (2, dearer, False),
        (1, LOAN, False),
    ]
    assert {one.created_at_ms for one in history} == {history[-1].updated_at_ms}


def test_every_past_version_can_be_loaded_by_its_stamp_or_by_time(store: Store):
    first = put(store, offer(LOAN))
    put(store, EntityChange("offer", LOAN, is_deleted=True), EntityChange("channel", EMAIL))
    assert load_catalogue(store, "t1", first.stamp) == first
    at_ms = first.records["offer"]["loan"].updated_at_ms
    assert load_catalogue_at(store, "t1", at_ms - 1).revision == 0
    assert load_catalogue_at(store, "t1", at_ms + 60_000).revision == 2


def test_of_two_changes_of_one_revision_the_second_has_no_effect(store: Store):
    before = put(store, offer(LOAN))
    assert append_versions(store, "t1", before, [offer(Offer(id="loan", name="A"))], ANNA)
    late = [offer(Offer(id="loan", name="B")), EntityChange("channel", EMAIL)]
    assert not append_versions(store, "t1", before, late, ANNA)
    store.execute("OPTIMIZE TABLE catalogue_entity_versions FINAL")
    after = load_catalogue(store, "t1")
    assert [one.name for one in after.entities["offer"]] == ["A"]
    assert after.entities["channel"] == []
    assert store.client.query("SELECT count() FROM catalogue_entities WHERE tenant_id = 't1'").result_rows == [(1,)]


def test_concurrent_changes_are_decided_one_after_the_other(store: Store):
    put(store, offer(Offer(id="loan", name="0")))
    together = threading.Barrier(8)

    def count_up(number: int) -> None:
        together.wait()
        for _ in range(3):
            change_catalogue(store, "t1", Author(str(number)), _next_name)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count_up, range(8)))
    after = load_catalogue(store, "t1")
    assert [one.name for one in after.entities["offer"]] == ["24"]
    assert after.records["offer"]["loan"].version == after.revision == 25


def _next_name(before: StoredCatalogue) -> list[EntityChange]:
    record = before.find("offer", "loan")
    assert record is not None
    assert record.entity is not None
    return [offer(Offer(id="loan", name=str(int(record.entity.name) + 1)))]


def test_a_change_without_effect_makes_no_revision(store: Store):
    put(store, offer(LOAN))
    assert put(store).revision == 1


def test_an_entity_that_cannot_be_decoded_is_reported_and_left_out(store: Store):
    put(store, offer(LOAN), offer(Offer(id="card", name="Card", status=Status.PAUSED)))
    store.execute(
        "INSERT INTO catalogue_entity_versions (tenant_id, kind, entity_id, version, revision, body) VALUES "
        """('t1', 'offer', 'loan', 2, 2, '{"id": "loan", "name": "Loan", "priority": "high"}'), """
        """('t1', 'gone_kind', 'x', 1, 2, '{}')"""
    )
    after = load_catalogue(store, "t1")
    assert [one.id for one in after.entities["offer"]] == ["card"]
    assert [problem.partition(":")[0] for problem in after.faults] == ["offer loan", "gone_kind x"]


def test_an_entity_changes_once_in_a_change(store: Store):
    with pytest.raises(ValueError, match="twice"):
        put(store, offer(LOAN), offer(LOAN))
