"""Skipped messages: one that an operator names becomes a dead letter without being decoded, and an audit entry."""

from __future__ import annotations

import random
import subprocess
import sys

from rapport.storage.audit import AuditFilter, read_audit
from tests.faults.events import encode, make_events
from tests.faults.world import ROOT, World


def skip(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rapport", "topic", "skip", world.name, *arguments]
    return subprocess.run(command, env=world.env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_a_skipped_message_becomes_a_dead_letter_and_all_others_count(world: World, rng: random.Random) -> None:
    good = make_events(rng, 60)
    world.produce(good[:30], partition=0)
    unwanted = encode({**good[0], "idempotencyKey": "unwanted", "conversionValue": 1_000_000})
    [(partition, offset)] = world.produce_raw([(b"acme:x", unwanted, 0)])
    done = skip(world, "0", str(offset), "--reason", "a test order")
    assert (done.returncode, done.stderr) == (0, "")
    assert "restart the workers" in done.stdout
    world.produce(good[30:], partition=0)
    world.start_worker()
    world.wait_applied()
    world.verify()
    assert world.dead_letters() == {(partition, offset, 0): "skipped_by_operator"}
    letters = world.store.client.query("SELECT detail, value FROM dead_letters").result_rows
    assert letters == [("An operator had it skipped: a test order", unwanted.decode())]
    [entry], _ = read_audit(world.store, "acme", AuditFilter(action="skip"))
    assert (entry.actor, entry.entity_type) == ("rapport topic skip", "message")
    assert entry.entity_id.endswith(f"/{world.name}/0:{offset}")
    assert "a test order" in entry.after
    for place, said in ((offset, "was applied already"), (10_000, "has no message at offset 10000")):
        refused = skip(world, "0", str(place), "--reason", "too late")
        assert refused.returncode != 0
        assert said in refused.stderr
