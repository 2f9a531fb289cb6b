from __future__ import annotations

from typing import Any

import pytest

from rapport.domain.decisions.windows import Window, WindowKind, WindowUnit, WindowZone
from tests.domain.decisions.bank import bank, decided, flow, offers_of, reasons_of


def test_a_policy_that_cannot_be_compiled_blocks_everything():
    catalogue = bank(contact_policy=[{"id": "p", "ruleType": "frequency_cap", "config": {}, "scope": "global"}])
    decision = decided(catalogue)
    assert decision.items == []
    assert reasons_of(decision)["loan"].startswith("contact_policy p: the policy cannot be evaluated: a cap needs")
    assert catalogue.problems[0].startswith("contact policy p cannot be read and blocks everything")


def test_a_rule_that_cannot_be_compiled_blocks_everybody():
    rule = {"id": "r", "ruleType": "recency_check", "scope": "category", "scopeId": "credit"}
    catalogue = bank(qualification_rule=[rule])
    decision = decided(catalogue)
    assert offers_of(decision) == ["save", "fund"]
    assert "no customer fulfils it" in catalogue.problems[0]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("contact_policy", {"ruleType": "cooldown", "config": {"cooldownHours": 1}}),
        ("qualification_rule", {"ruleType": "segment_required"}),
    ],
)
def test_a_scope_without_an_id_blocks_instead_of_applying_to_nothing(kind: str, fields: dict[str, Any]):
    catalogue = bank(**{kind: [{"id": "p", "scope": "category", **fields}]})
    assert decided(catalogue).items == []
    assert "scopeId: scope category needs the id" in catalogue.problems[0]


def test_other_parts_that_cannot_be_compiled_are_left_out_and_reported():
    catalogue = bank(
        offer=[{"id": "loan", "schedule": {"startAt": "soon"}}],
        model=[{"id": "m", "key": "m", "modelType": "scorecard", "config": {"typo": 1}}],
        category=[{"id": "credit", "customFields": [{"key": "k", "type": "computed", "formula": "1 +"}]}],
        decision_flow=[flow({"type": "filter", "config": {}})],
    )
    assert [problem.split(":")[0] for problem in catalogue.problems] == [
        "the computed field k of credit is left out",
        "offer loan is not offered",
        "flow f cannot be run",
        "model m cannot be asked and counts as failing",
    ]
    assert catalogue.choose_flow("f", None, None) is None
    assert "loan" not in offers_of(decided(catalogue))


def cap(**config: Any) -> dict[str, Any]:
    return {"id": "-".join(config), "ruleType": "frequency_cap", "config": config, "scope": "global"}


def test_a_catalogue_derives_which_facts_its_policies_need():
    catalogue = bank(
        contact_policy=[
            cap(maxPerDay=1, timeZone="customer"),
            cap(maxContacts=1, windowHours=6),
            cap(maxTotal=1),
            {"id": "o", "ruleType": "outcome_based", "config": {"afterOutcome": "dismiss"}, "scope": "global"},
            {"id": "old", "ruleType": "outcome_based", "config": {"afterOutcome": "x"}, "status": "paused"},
        ],
        suppression_rule=[
            {"id": "s", "outcomes": ["complaint"], "days": 60},
            {"id": "t", "outcomes": ["y"], "days": 90, "status": "paused"},
        ],
        metric=[
            {"id": f"m-{key}", "key": key}
            for key in ("in_a_rule", "in_a_policy", "in_a_filter", "in_a_formula", "in_a_text", "nowhere")
        ],
        qualification_rule=[
            {"id": "r", "ruleType": "metric_condition", "config": {"metric": "in_a_rule", "value": 1}},
        ],
        category=[
            {
                "id": "credit",
                "customFields": [{"key": "k", "type": "computed", "formula": "metric.in_a_formula+1"}],
            }
        ],
        creative=[
            {"id": "loan-web", "offerId": "loan", "channelId": "web", "content": {"body": "{metric.in_a_text} visits"}}
        ],
        decision_flow=[
            flow({"type": "filter", "config": {"conditions": [{"field": "metric.in_a_filter", "value": 1}]}}),
            flow(
                {"type": "conditional", "config": {"conditions": [{"field": "metric.in_a_policy", "value": 1}]}},
                key="g",
            ),
        ],
    )
    calendar = {
        Window(WindowKind.CALENDAR, unit)
        for unit in (WindowUnit.DAY, WindowUnit.WEEK, WindowUnit.MONTH, WindowUnit.ALL)
    }
    assert catalogue.needs.windows == calendar | {
        Window(WindowKind.CALENDAR, WindowUnit.DAY, WindowZone.CUSTOMER),
        Window(WindowKind.ROLLING, WindowUnit.HOUR, count=6),
    }
    assert catalogue.needs.outcomes == {"dismiss", "complaint"}
    assert catalogue.needs.outcome_days == 60
    assert catalogue.needs.metrics == {"in_a_rule", "in_a_policy", "in_a_filter", "in_a_formula", "in_a_text"}


def test_a_request_finds_its_flow_by_key_placement_channel_or_default():
    catalogue = bank(
        decision_flow=[
            flow(key="by-placement", routes=[{"channelId": "web", "placementId": "p-hero"}]),
            flow(key="by-channel", routes=[{"channelId": "web"}]),
            flow(key="usual", isDefault=True),
            flow(key="draft", publishedVersion=0),
            flow(key="off", status="paused", isDefault=True),
        ]
    )

    def found(key: str | None = None, channel: str | None = None, placement: str | None = None) -> str | None:
        chosen = catalogue.choose_flow(key, channel, placement)
        return chosen.key if chosen else None

    assert found("usual", "web", "p-hero") == "usual"
    assert found(None, "web", "p-hero") == "by-placement"
    assert found(None, "web", "p-side") == "by-channel"
    assert found(None, "mail", "p-hero") == "usual"
    assert found() == "usual"
    assert found("base") == "base"
    assert (found("draft"), found("off"), found("nothing")) == (None, None, None)


def test_a_flow_of_another_version_is_compiled_when_used():
    catalogue = bank(decision_flow=[flow()])
    other = bank(
        decision_flow=[flow({"type": "filter", "config": {"conditions": [{"field": "offer.id", "value": "save"}]}})]
    )
    assert other.flows["f"] != catalogue.flows["f"]
    assert [step.node.type for step in catalogue.get_program(other.flows["f"]).phases[1]][-1] == "filter"
    assert catalogue.get_program(catalogue.flows["f"]) is catalogue.programs["f"]


@pytest.mark.parametrize("kind", ["offer", "creative", "channel"])
def test_only_active_entities_are_shown(kind: str):
    paused = {
        "offer": {"id": "loan", "status": "paused"},
        "creative": {"id": "loan-web", "offerId": "loan", "channelId": "web", "status": "archived"},
        "channel": {"id": "web", "status": "draft"},
    }
    assert "loan-web" not in [item.creative_id for item in decided(bank(**{kind: [paused[kind]]})).items]
