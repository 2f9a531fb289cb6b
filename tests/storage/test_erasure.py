"""An erasure leaves no rows in any table, also in new ones; a customer who comes back is counted anew."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pipeline.privacy import MAX_AGE_S
from rapport.domain.blocks import begin_blocks
from rapport.domain.privacy import hash_customer
from rapport.storage.erasure import (
    WORKERS_KNOW_AFTER_S,
    Erasure,
    begin_erasure,
    count_remains,
    finish_erasure,
    sweep,
)
from rapport.storage.personal_data import ErasureScope
from rapport.storage.receipts import find_receipt
from rapport.storage.reconcile import reconcile
from rapport.storage.repairs import name_block
from rapport.storage.tombstones import read_tombstones

if TYPE_CHECKING:
    from rapport.storage.client import Store
    from rapport.storage.receipts import Receipt

NOW = 1_773_585_000_000
ERASED_AT = NOW + 10_000
SOURCE = "cluster/interactions/0"
WHO = {"tenant_id": "acme", "customer_id": "ann"}
PLACE = {"source": SOURCE, "offset": 1, "item": 0}
BROKER_TIME = {"received_at": NOW, "occurred_at": NOW}


def at(ms: int) -> str:
    return f"fromUnixTimestamp64Milli({ms}, 'UTC')"


def put(store: Store, table: str, **fields: Any) -> None:
    """Insert a row; numbers in columns that end in _at are epoch milliseconds."""
    values = [at(v) if name.endswith("_at") and isinstance(v, int) else _literal(v) for name, v in fields.items()]
    store.execute(f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({', '.join(values)})")


def _literal(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return (
        str(value)
        if isinstance(value, int | float)
        else "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
    )


def contact(store: Store, customer: str, offset: int, received_at: int, **fields: Any) -> None:
    """Write an impression to the history and to the summaries, as the stream does."""
    who = {"tenant_id": "acme", "customer_id": customer}
    event = {"id": f"{offset:04}", "local_date": "2026-03-15", "outcome": "impression", "category": "impression"}
    key = {"idempotency_key": f"k{offset}"}
    times = {"received_at": received_at, "occurred_at": NOW}
    put(
        store,
        "interaction_log",
        **who,
        **event,
        **key,
        **times,
        channel_id="web",
        source=SOURCE,
        offset=offset,
        item=0,
        **fields,
    )


def summarise(store: Store, next_offset: int) -> None:
    """Write the summaries of the whole history, and record that it has been applied."""
    store.command(
        "privacy/recompute",
        {"tenant_id": "acme", "customer_ids": ["ann", "bob"], **name_block(SOURCE, begin_blocks(next_offset))},
    )
    put(store, "stream_progress", source=SOURCE, next_offset=next_offset)


def erase(store: Store, *customers: str) -> Receipt:
    erasing = Erasure(ErasureScope("acme", customers or ("ann",), ERASED_AT), "receipt-1", "tests")
    begin_erasure(store, erasing)
    return finish_erasure(store, erasing, clock=lambda: ERASED_AT + 1, sleep=lambda _s: None)


def who_is_in(store: Store, table: str, column: str = "customer_id") -> list[str]:
    return [row[0] for row in store.client.query(f"SELECT DISTINCT {column} FROM {table} ORDER BY 1").result_rows]


def test_an_erasure_waits_longer_than_a_worker_goes_without_reading_tombstones():
    assert WORKERS_KNOW_AFTER_S >= MAX_AGE_S + 2


def test_a_new_table_with_a_customer_column_is_erased_from(store: Store):
    for column in ("stored_at DateTime64(3, 'UTC') DEFAULT now64(3)", "x UInt8"):
        store.execute(
            f"CREATE TABLE of_tomorrow (tenant_id String, n UInt8, best_customer_id String, {column}) "
            "ENGINE = MergeTree ORDER BY (tenant_id, n)"
        )
        for customer in ("ann", "bob", "anna"):
            put(store, "of_tomorrow", tenant_id="acme", n=1, best_customer_id=customer)
        put(store, "of_tomorrow", tenant_id="other", n=1, best_customer_id="ann")
        receipt = erase(store)
        assert (receipt.deleted, receipt.is_verified) == ({"of_tomorrow": 1}, True)
        assert who_is_in(store, "of_tomorrow", "concat(tenant_id, best_customer_id)") == [
            "acmeanna",
            "acmebob",
            "otherann",
        ]
        store.execute("DROP TABLE of_tomorrow SYNC")


ROWS: dict[str, dict[str, Any]] = {
    "event_claims": {**PLACE, "key_hash": 1, "payload_hash": 1, "received_at": NOW},
    "decisions": {"recommendation_id": "r1", "decided_at": NOW, "received_at": NOW, "decision": "{}"},
    "decision_places": {"recommendation_id": "r1", "decided_at": NOW},
    "variant_assignment_log": {"recommendation_id": "r1", "decided_at": NOW, "experiment_id": "e"},
    "summary_repairs": {"repair_id": "p", "source": SOURCE},
    "customer_versions": {"version": 1, "attributes": "{}"},
    "consent_log": {"purpose": "email", "stated_at": NOW, "status": "granted"},
    "suppression_lifts": {"rule_id": "r", "scope_id": "all", "lifted_at": NOW, "reason": "pressed by mistake"},
    "segment_members": {"segment_id": "s", "is_member": 1, "refreshed_at": NOW},
    "clv_scores": {"score": 1, "computed_at": NOW},
}


def test_an_erasure_deletes_the_rows_of_the_customer_and_no_others(store: Store):
    for customer in ("ann", "bob"):
        for table, fields in ROWS.items():
            put(store, table, tenant_id="acme", customer_id=customer, **fields)
        contact(store, customer, 1 if customer == "ann" else 2, NOW)
        put(
            store, "contact_profile_versions", tenant_id="acme", profile_id=customer, version=1, customer_ids=[customer]
        )
        put(store, "contact_profile_versions", tenant_id="acme", profile_id=customer, version=2, customer_ids=[])
        put(store, "dsar_requests", tenant_id="acme", request_id=customer, subject_id=customer, requested_at=NOW)
    summarise(store, 3)
    receipt = erase(store)
    assert receipt.is_verified
    assert set(receipt.deleted) == {
        *("clv_scores", "consents", "contact_profiles", "customers", "decision_places", "decisions", "dsar_requests"),
        *("event_claims", "interaction_summaries", "interactions", "segment_members", "summary_repairs"),
        *("suppression_lifts", "variant_assignments"),
    }
    for table in {*ROWS, "interaction_log", "interaction_summary_state"}:
        assert who_is_in(store, table) == ["bob"], table
    assert who_is_in(store, "contact_profile_versions", "profile_id") == ["bob"]
    assert who_is_in(store, "dsar_requests", "subject_id") == ["bob"]
    assert reconcile(store, sleep=lambda _s: None).is_clean
    texts = store.client.query("SELECT command FROM system.mutations WHERE database = currentDatabase()").result_rows
    assert not [text for (text,) in texts if "'ann'" in text], "the text of a deletion is kept"


def test_this_test_covers_every_table_with_a_customer(store: Store):
    found = {row["table"] for row in store.rows("privacy/tables")}
    assert found >= {*ROWS, "interaction_log", "interaction_summary_state", "contact_profile_versions"}


@pytest.mark.parametrize(
    ("key", "value", "goes"),
    [
        (b"acme:ann", b"\xff", True),
        (b"ann", b"broken", True),
        (b"", b'{"tenantId":"acme","customerId":"ann",', True),
        (b"", b'{"tenantId":"acme","customerId":"\\u0061nn"', True),
        (b"", b'{"tenantId":"other","customerId":"ann",', False),
        (b"acme:anna", b'{"customerId":"anna"', False),
        (b"acme:jo-ann", b"ann.lee", False),
        (b"", b"it was ann.", True),
    ],
)
def test_a_dead_letter_that_mentions_the_customer_as_a_word_is_deleted(
    store: Store, *, key: bytes, value: bytes, goes: bool
):
    letter = {"tenant_id": [""], "id": ["s:1:0"], "key": [key], "value": [value], "received_at": [NOW]}
    types = {"key": pl.Binary, "value": pl.Binary, "received_at": pl.Datetime("ms", "UTC")}
    store.insert("dead_letter_state", pl.DataFrame(letter, schema_overrides=types))
    assert erase(store).deleted == ({"dead_letters": 1} if goes else {})


def test_events_after_the_erasure_stay_and_are_counted_alone(store: Store):
    for offset, received_at in enumerate((NOW, ERASED_AT, ERASED_AT + 1, ERASED_AT + 2)):
        contact(store, "ann", offset, received_at)
        decision = {"recommendation_id": f"r{offset}", "decided_at": NOW}
        put(store, "decisions", **WHO, **decision, received_at=received_at, decision="{}")
        put(store, "decision_places", **WHO, **decision)
    summarise(store, 4)
    assert erase(store).is_verified
    assert who_is_in(store, "interaction_log", "offset") == [2, 3]
    assert who_is_in(store, "decision_places", "recommendation_id") == ["r2", "r3"]
    found = store.client.query(
        "SELECT DISTINCT period_type, impressions FROM interaction_summaries ORDER BY 1"
    ).result_rows
    assert found == [("alltime", 2), ("daily", 2), ("monthly", 2), ("weekly", 2)]
    assert reconcile(store, sleep=lambda _s: None).is_clean


def test_messages_that_are_not_applied_yet_are_left_to_the_worker(store: Store):
    contact(store, "ann", 0, NOW)
    summarise(store, 1)
    contact(store, "ann", 1, ERASED_AT + 1)  # in the history, its summaries are being written
    assert erase(store).is_verified
    assert who_is_in(store, "interaction_summary_state") == []


def test_a_receipt_has_only_hashes_and_the_tombstone_has_the_completion_time(store: Store):
    contact(store, "ann", 0, NOW)
    receipt = erase(store, "ann", "ann@example.org")
    assert find_receipt(store, "acme", "receipt-1") == receipt
    assert find_receipt(store, "other", "receipt-1") is None
    assert receipt.customer_hashes == [hash_customer("acme", who) for who in ("ann", "ann@example.org")]
    assert "ann" not in json.dumps(
        store.client.query("SELECT * EXCEPT (stored_at, erased_at, completed_at) FROM erasure_receipts").result_rows
    )
    assert {one.tombstone.completed_at_ms for one in read_tombstones(store)} == {ERASED_AT + 1}


def test_rows_that_a_worker_writes_late_are_found_and_swept(store: Store):
    erase(store)
    contact(store, "ann", 0, NOW)
    contact(store, "bob", 1, NOW)
    summarise(store, 2)
    erased = ErasureScope("acme", ("ann",), ERASED_AT)
    assert count_remains(store, erased) == {"interactions": 1}
    assert sweep(store, sleep=lambda _s: None) == {"interactions": 1, "interaction_summaries": 4}
    assert count_remains(store, erased) == {}
    assert who_is_in(store, "interactions") == ["bob"]
    assert sweep(store) == {}


def test_a_sweep_completes_an_abandoned_erasure_and_keeps_later_rows(store: Store):
    erasing = Erasure(ErasureScope("acme", ("ann",), ERASED_AT), "receipt-1", "tests")
    put(store, "customer_versions", **WHO, version=1, attributes="{}", stored_at=NOW)
    put(store, "customer_versions", **WHO, version=2, attributes="{}", stored_at=ERASED_AT + 1)
    begin_erasure(store, erasing)
    assert sweep(store, clock=lambda: ERASED_AT + 7_200_000) == {"customers": 1}
    assert who_is_in(store, "customer_versions", "version") == [2]
    assert [one.tombstone.completed_at_ms for one in read_tombstones(store)] == [ERASED_AT + 7_200_000]
