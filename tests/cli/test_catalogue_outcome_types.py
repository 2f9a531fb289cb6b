"""``rapport catalog`` handles a tenant's own outcome types as the API does, and no others."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import yaml

from rapport.domain.outcomes import CHANGE_DELAY_MS
from rapport.storage.audit import AuditFilter, read_audit
from rapport.storage.catalogue import load_catalogue
from rapport.storage.outcome_types import list_outcome_types
from tests.cli.catalogue_command import CatalogueCommand
from tests.fixtures.store import make_database_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rapport.storage.client import Store
    from rapport.storage.outcome_types import OutcomeRecord

OUTCOMES = """\
outcome-types:
  - {key: renewed, classification: positive, isConversion: true}
  - {key: banner_seen, name: "", description: Seen, classification: neutral, category: impression, ordinal: 3}
"""


@pytest.fixture
def run(clickhouse_url: str, database: str, tmp_path: Path) -> Iterator[CatalogueCommand]:
    runs = CatalogueCommand(make_database_settings(clickhouse_url, database), tmp_path)
    with closing(runs.store):
        yield runs


def own_outcomes(store: Store) -> dict[str, OutcomeRecord]:
    return {one.key: one for one in list_outcome_types(store, "t1") if not one.is_system}


def test_exported_outcome_types_can_be_applied_without_changes(run: CatalogueCommand):
    said = run("apply", text=OUTCOMES + "channels: [{id: web, name: Web, channelType: web}]")
    assert "3 made, 0 changed, 0 deleted" in said.stdout, said.output
    made = own_outcomes(run.store)
    assert (made["renewed"].name, made["renewed"].ordinal, made["renewed"].is_conversion) == ("Renewed", 18, True)
    assert (made["banner_seen"].category, made["banner_seen"].ordinal) == ("impression", 3)
    assert run("export").exit_code == 0
    assert [one["key"] for one in yaml.safe_load(run.file)["outcome-types"]] == ["banner_seen", "renewed"]
    assert "0 made, 0 changed, 0 deleted" in run("apply", "--prune").stdout
    assert own_outcomes(run.store) == made


def test_an_outcome_type_says_whether_it_takes_value_back(run: CatalogueCommand):
    run("apply", text="outcome-types: [{key: refund, classification: negative, allowsNegativeValue: true}]")
    assert own_outcomes(run.store)["refund"].allows_negative_value
    assert run("export").exit_code == 0
    assert yaml.safe_load(run.file)["outcome-types"][0]["allowsNegativeValue"] is True
    run("apply", text="outcome-types: [{key: refund, classification: negative}]")
    assert not own_outcomes(run.store)["refund"].allows_negative_value


def test_outcome_types_can_be_changed_ended_and_made_again(run: CatalogueCommand):
    run("apply", text=OUTCOMES)
    first = own_outcomes(run.store)["renewed"]
    changed = "outcome-types: [{key: renewed, classification: neutral}]"
    dry = run("diff", "--prune", text=changed).stdout
    assert '~ outcome_type renewed\n    classification: "positive" -> "neutral"\n    isConversion: true' in dry
    assert "- outcome_type banner_seen\nwould be: 0 made, 1 changed, 1 deleted" in dry
    assert own_outcomes(run.store)["renewed"] == first
    run("apply", "--prune")
    after = own_outcomes(run.store)
    assert [(after[key].version, after[key].is_active) for key in ("renewed", "banner_seen")] == [(2, True), (2, False)]
    assert after["renewed"].effective_at_ms >= first.effective_at_ms + CHANGE_DELAY_MS
    assert "1 made, 1 changed, 0 deleted" in run("apply", text=OUTCOMES).stdout
    again = own_outcomes(run.store)["banner_seen"]
    assert again.effective_at_ms > after["banner_seen"].effective_at_ms
    entries, _ = read_audit(run.store, "t1", AuditFilter(entity_type="outcome_type", entity_id="banner_seen"))
    assert [(one.action, one.entity_version) for one in entries] == [("restore", 3), ("soft_delete", 2), ("create", 1)]
    assert {one.actor for one in entries} == {"rapport catalog apply"}


def test_default_outcome_types_cannot_be_changed_and_any_fault_stops_the_file(run: CatalogueCommand):
    refused = run(
        "apply",
        text=OUTCOMES
        + "  - key: click\n    classification: negative\n"
        + "offers: [{id: x, name: X, schedule: {startAt: soon}}]",
    )
    lines = str(refused.exception).splitlines()
    assert "2 faults; nothing was changed" in lines[0]
    assert lines[1].startswith("line 4: outcome_type click, key: is one of those that every tenant has")
    assert own_outcomes(run.store) == {}
    assert load_catalogue(run.store, "t1").revision == 0
    run("apply", "--prune", text="channels: []")
    assert all(one.is_active for one in list_outcome_types(run.store, "t1"))
