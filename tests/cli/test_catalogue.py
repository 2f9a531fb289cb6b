"""``rapport catalog`` applies, compares and exports catalogues, whole or not at all."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
import yaml

from rapport.application.catalogue_files.line_numbers import CatalogueFileError
from rapport.application.catalogue_files.plan import plan_entities
from rapport.application.catalogue_files.reader import SECTIONS, CatalogueFile, read_catalogue
from rapport.application.catalogue_files.writer import write_catalogue
from rapport.domain.catalogue.strategy import DecisionFlow
from rapport.domain.catalogue_checks.kinds import KINDS
from rapport.domain.catalogue_checks.lint import lint_catalogue
from rapport.storage.audit import AuditFilter, read_audit
from rapport.storage.catalogue import load_catalogue
from tests.cli.catalogue_command import CatalogueCommand
from tests.fixtures.store import make_database_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rapport.domain.catalogue_checks.validate import Entities

CATALOGUE = """\
channels:
  - id: web
    name: Web
    channelType: web
  - {id: email, name: E-Mail, channelType: email, impressionTracking: implicit}
offers:
  - id: loan
    name: Loan
    schedule: {startAt: 2026-03-01T00:00:00Z}
    tags: [credit, "no"]
    customFields: {apr: 4.5, fee: null, 7: x}
  - id: card
    name: Kreditkarte für alle
    frequencyCaps: {daily: 1}
creatives:
  - {id: c1, name: Loan on the web, offerId: loan, channelId: web, content: {body: "{name}, a loan"}}
  - {id: c2, name: Card by mail, offerId: card, channelId: email}
contact-policies:
  - id: cap
    name: Three a day
    ruleType: frequency_cap
    scope: global
    config: {maxPerDay: 3}
decision-flows:
  - id: home
    key: home
    name: Home
    nodes:
      - {id: inventory, type: inventory}
      - {id: score, type: score}
      - {id: rank, type: rank, config: {method: top_score}}
      - {id: response, type: response}
    routes: [{channelId: web}]
"""


@pytest.fixture
def run(clickhouse_url: str, database: str, tmp_path: Path) -> Iterator[CatalogueCommand]:
    runs = CatalogueCommand(make_database_settings(clickhouse_url, database), tmp_path)
    with closing(runs.store):
        yield runs


def test_an_exported_catalogue_can_be_applied_without_changes(run: CatalogueCommand):
    applied = run("apply", text=CATALOGUE)
    assert applied.exit_code == 0, applied.output
    assert "8 made, 0 changed, 0 deleted" in applied.stdout
    before = load_catalogue(run.store, "t1")
    assert before.revision == 1
    (flow,) = before.entities["decision_flow"]
    assert isinstance(flow, DecisionFlow)
    assert (flow.published_version, flow.draft) == (1, flow.published)
    assert run("export").exit_code == 0
    assert yaml.safe_load(run.file)["offers"][1]["customFields"] == {"apr": 4.5, "fee": None, "7": "x"}
    again = run("apply", "--prune")
    assert "0 made, 0 changed, 0 deleted" in again.stdout
    assert load_catalogue(run.store, "t1") == before


def test_a_dry_run_and_diff_report_changes_without_making_them(run: CatalogueCommand):
    run("apply", text=CATALOGUE)
    changed = (
        CATALOGUE.replace("{maxPerDay: 3}", "{maxPerDay: 5}")
        .replace("id: card", "id: cash")
        .replace("offerId: card", "offerId: cash")
    )
    for arguments in (("diff", "--prune"), ("apply", "--prune", "--dry-run")):
        said = run(*arguments, text=changed).stdout
        assert "+ offer cash\n" in said
        assert "- offer card\n" in said
        assert '~ creative c2\n    offerId: "card" -> "cash"\n' in said
        assert "~ contact_policy cap\n    config.maxPerDay: 3 -> 5\n" in said
        assert "would be: 1 made, 2 changed, 1 deleted" in said
    assert load_catalogue(run.store, "t1").revision == 1
    assert "1 made, 2 changed, 0 deleted" in run("apply").stdout
    assert "0 made, 0 changed, 1 deleted" in run("apply", "--prune").stdout
    entries, total = read_audit(run.store, "t1", AuditFilter(action="soft_delete"))
    assert total == 1
    assert (entries[0].entity_id, entries[0].actor) == ("card", "rapport catalog apply")


FAULTY = """\
channels:
  - {id: web, name: Web, channelType: web}
  - {id: web, name: Other, channelType: web}
offers:
  - id: loan
    name: Loan
    priority: 101
    schedule:
      startAt: soon
      until: later
  - name: Card
    tags: x
ofers: []
decision-flows:
  - id: home
    key: home
    name: Home
    nodes:
      - {id: a}
"""


def test_all_faults_of_a_file_are_named_with_their_lines(run: CatalogueCommand):
    refused = run("apply", text=FAULTY)
    assert refused.exit_code == 1
    text = str(refused.exception)
    lines = [line.split(": ")[:2] for line in text.splitlines()[1:]]
    assert lines == [
        ["line 3", "channel web, id"],
        ["line 7", "offer loan, priority"],
        ["line 10", "offer loan, schedule.until"],
        ["line 11", "offer Card, id"],
        ["line 12", "offer Card, tags"],
        ["line 13", "ofers"],
        ["line 19", "decision_flow home, draft[0].type"],
        ["line 19", "decision_flow home, published[0].type"],
    ]
    assert "8 faults; nothing was changed" in text
    assert load_catalogue(run.store, "t1").revision == 0


UNFIT = """\
creatives:
  - id: c1
    name: C
    offerId: loan
    channelId: web
contact-policies:
  - id: cap
    name: Cap
    ruleType: frequency_cap
    scopes:
      - scope: global
      - scope: offer
    config:
      maxPerDay: 0
offers:
  - id: loan
    name: Loan
    schedule:
      startAt: soon
decision-flows:
  - id: home
    key: home
    name: Home
    nodes:
      - {id: inventory, type: inventory}
      - id: score
        type: score
        config:
          method: guess
      - {id: response, type: response}
"""


def test_faults_across_entities_are_named_with_their_lines(run: CatalogueCommand):
    refused = run("apply", text=UNFIT)
    assert refused.exit_code == 1
    lines = [line.split(": ")[:2] for line in str(refused.exception).splitlines()[1:]]
    assert lines == [
        ["line 5", "creative c1, channelId"],
        ["line 12", "contact_policy cap, scopes[1].scopeId"],
        ["line 14", "contact_policy cap, config.maxPerDay"],
        ["line 19", "offer loan, schedule.startAt"],
        ["line 26", "decision_flow home, draft.score"],
    ]
    assert load_catalogue(run.store, "t1").revision == 0


def test_lint_warnings_are_shown_when_a_file_is_applied(run: CatalogueCommand):
    said = run("apply", text="offers:\n  - {id: loan, name: Loan}\n")
    assert said.exit_code == 0
    assert "warning: offer loan: it has no active creative" in said.stderr


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("offers: [", "line 1: is no YAML"),
        ("- x", "must have parts"),
        ("offers: 3", "line 1: offers: must be a list"),
        ("offers:\n  - {id: a, id: b, name: x}", "line 2: id is given twice"),
        ("offers:\n  - &x {id: a, name: x, customFields: {y: *x}}", "line 2: contains itself"),
        ("offers:\n  - !!python/object:os.system {}", "is not supported"),
        ("offers:\n  - {id: a, name: !!int x}", "cannot be read"),
        ("offers:\n  - 7", "must have fields"),
        ("outcome-types:\n  - {key: a b, classification: positive}", "line 2: outcome_type a b, key"),
        (
            "outcome-types:\n  - {key: a, classification: positive}\n  - {key: a, classification: neutral}",
            "line 3: out",
        ),
        ("outcome-types:\n  - {key: a, classification: positive, category: recommendation}", "a, category: Invalid"),
        ("decision-flows:\n  - {id: a, key: a, name: x, publishedVersion: 3}", "is counted by the catalogue"),
        ("decision-flows:\n  - {id: a, key: a, name: x, nodes: [], draft: []}", "is both the draft"),
    ],
)
def test_a_file_without_a_catalogue_is_refused_with_a_line(text: str, fault: str):
    with pytest.raises(CatalogueFileError) as refused:
        read_catalogue(text)
    assert fault in str(refused.value)


def test_a_yaml_bomb_is_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    lines.append("offers: [{id: a, name: x, customFields: {x: *a9}}]")
    with pytest.raises(CatalogueFileError, match="more than"):
        read_catalogue("\n".join(lines))


def test_the_documented_file_can_be_applied():
    page = (Path(__file__).parents[2] / "docs" / "catalogue.md").read_text("utf-8")
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    file = read_catalogue(text)
    assert [one.outcome_type.key for one in file.outcome_types] == ["renewed", "refund"]
    steps, after = plan_entities(file, {}, prune=False)
    assert [step.kind for step in steps] == ["channel", "offer", "creative", "decision_flow"]
    assert lint_catalogue(after) == []


def test_an_empty_file_is_an_empty_catalogue_and_every_kind_has_a_section():
    assert read_catalogue("# nothing\n") == CatalogueFile()
    assert list(SECTIONS.values()) == list(KINDS)
    assert write_catalogue({}) == ""


def test_a_draft_ahead_of_its_published_version_survives_the_round_trip():
    placed = read_catalogue(CATALOGUE)
    _, entities = plan_entities(placed, {}, prune=False)
    (flow,) = entities["decision_flow"]
    assert isinstance(flow, DecisionFlow)
    ahead: Entities = {
        **entities,
        "decision_flow": [
            msgspec.structs.replace(flow, draft=flow.draft[:1], published_version=7),
            DecisionFlow(id="new", key="new", name="New", draft=flow.draft[1:]),
        ],
    }
    steps, after = plan_entities(read_catalogue(write_catalogue(ahead)), ahead, prune=True)
    assert steps == []
    assert [getattr(one, "published_version", None) for one in after["decision_flow"]] == [7, 0]
