from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rapport.domain.audit import AuditDraft, AuditEntry
from rapport.domain.catalogue.inventory import Offer
from rapport.storage.audit import (
    AuditFilter,
    ChainCheck,
    append_audit,
    audit_catalogue,
    read_audit,
    verify_audit,
)
from rapport.storage.catalogue_changes import Author, EntityChange, change_catalogue

if TYPE_CHECKING:
    from rapport.storage.client import Store

ALL = AuditFilter()


def note(action: str, entity_id: str = "key_1") -> AuditDraft:
    return AuditDraft(at_ms=1_700_000_000_123, actor="anna", action=action, entity_type="api_key", entity_id=entity_id)


def put(store: Store, *changes: EntityChange) -> None:
    change_catalogue(store, "t1", Author("anna", "trace-1"), lambda _before: changes)


def noted(store: Store) -> list[AuditEntry]:
    return read_audit(store, "t1", ALL)[0][::-1]


def test_every_change_of_the_catalogue_has_one_entry_with_before_and_after(store: Store):
    loan = Offer(id="loan", name="Loan", priority=70)
    put(store, EntityChange("offer", loan))
    audit_catalogue(store, "t1")
    put(store, EntityChange("offer", Offer(id="loan", name="Loan", priority=90)))
    put(store, EntityChange("offer", loan, is_deleted=True))
    put(store, EntityChange("offer", loan))
    audit_catalogue(store, "t1")
    audit_catalogue(store, "t1")
    entries = noted(store)
    assert [(one.action, one.entity_version) for one in entries] == [
        ("create", 1),
        ("update", 2),
        ("soft_delete", 3),
        ("restore", 4),
    ]
    assert entries[1].before == '{"id":"loan","name":"Loan","priority":70}'
    assert entries[1].after == '{"id":"loan","name":"Loan","priority":90}'
    assert [bool(one.before) for one in entries] == [False, True, True, False]
    assert [bool(one.after) for one in entries] == [True, True, False, True]
    assert {(one.actor, one.request_id) for one in entries} == {("anna", "trace-1")}
    assert replace(verify_audit(store, "t1"), head=None) == ChainCheck(4)


def test_the_chain_has_no_forks_with_concurrent_writers(store: Store):
    put(store, *(EntityChange("offer", Offer(id=f"o{number}", name="x")) for number in range(5)))
    together = threading.Barrier(6)

    def write(number: int) -> None:
        together.wait()
        for step in range(3):
            append_audit(store, "t1", [note("create", f"{number}.{step}.{part}") for part in range(number % 3 + 1)])
            audit_catalogue(store, "t1")

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(write, range(6)))
    store.execute("OPTIMIZE TABLE audit_entry_log FINAL")
    total = 5 + 3 * (1 + 2 + 3) * 2
    assert replace(verify_audit(store, "t1"), head=None) == ChainCheck(total)
    assert len({(one.entity_type, one.entity_id) for one in noted(store)}) == total


@pytest.mark.parametrize(
    ("tampering", "broken_at", "reason"),
    [
        ("UPDATE actor = 'eve' WHERE seq = 2", 2, "hash_mismatch"),
        ("UPDATE hash = '00' WHERE seq = 2", 2, "hash_mismatch"),
        ("UPDATE at = at + 1 WHERE seq = 3", 3, "hash_mismatch"),
        ("DELETE WHERE seq = 2", 3, "chain_link_mismatch"),
        ("DELETE WHERE seq = 1", 2, "chain_link_mismatch"),
    ],
)
def test_a_changed_or_removed_entry_breaks_the_chain_there(store: Store, tampering: str, broken_at: int, reason: str):
    append_audit(store, "t1", [note("create"), note("rename")])
    append_audit(store, "t1", [note("revoke")])
    assert replace(verify_audit(store, "t1"), head=None) == ChainCheck(3)
    store.execute(f"ALTER TABLE audit_entry_log {tampering} SETTINGS mutations_sync = 2")
    found = verify_audit(store, "t1")
    assert (found.broken_at, found.reason) == (broken_at, reason)


def test_a_chain_longer_than_one_read_is_checked_to_its_end(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rapport.storage.audit.CHUNK", 2)
    append_audit(store, "t1", [note("create")] * 5)
    assert replace(verify_audit(store, "t1"), head=None) == ChainCheck(5)
    store.execute("ALTER TABLE audit_entry_log UPDATE action = 'x' WHERE seq = 5 SETTINGS mutations_sync = 2")
    assert verify_audit(store, "t1") == ChainCheck(5, 5, "hash_mismatch")


def test_pages_are_filtered_and_counted(store: Store):
    append_audit(store, "t1", [note("create", "a"), note("revoke", "a"), note("create", "b")])
    append_audit(store, "t2", [note("create", "a")])
    entries, total = read_audit(store, "t1", AuditFilter(entity_id="a"), limit=1)
    assert ([one.action for one in entries], total) == (["revoke"], 2)
    entries, total = read_audit(store, "t1", AuditFilter(entity_id="a"), limit=1, before_seq=entries[0].seq)
    assert ([one.action for one in entries], total) == (["create"], 2)
    at_ms = 1_700_000_000_123
    assert read_audit(store, "t1", AuditFilter(from_ms=at_ms, to_ms=at_ms + 1, actor="anna"))[1] == 3
    assert read_audit(store, "t1", AuditFilter(to_ms=at_ms))[0] == []
    assert replace(verify_audit(store, "t3"), head=None) == ChainCheck(0)
