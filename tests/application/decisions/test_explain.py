"""Explanations and decisions apply the same rules: one stops at the first that blocks an offer, the other does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from rapport.application.decisions.decide import DecisionTask, make_decision
from rapport.application.decisions.explain import explain_offers
from rapport.domain.decisions.candidates import Request
from rapport.domain.decisions.facts import CustomerFacts, ReservedImpression, Subject, TenantFacts
from rapport.domain.outcomes import DEFAULT_OUTCOME_TYPES, group_versions
from rapport.domain.tenants import Tenant
from tests.domain.decisions.bank import CREATIVES, OFFERS, bank, flow
from tests.domain.decisions.small_catalogue import HOUR_MS, NOW_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.decisions.decision import Decision
    from rapport.domain.decisions.explain import Explanation

TENANT = Tenant("acme", "Acme", "UTC", group_versions(DEFAULT_OUTCOME_TYPES))
SUBJECTS = [Subject(creative["offerId"], creative["id"], creative["channelId"]) for creative in CREATIVES]
RULE_STAGES = ("qualify", "contact_policy")
SCOPES = [
    {"scope": "global"},
    {"scope": "offer", "scopeId": "*"},
    {"scope": "offer", "scopeId": "loan"},
    {"scope": "category", "scopeId": "credit"},
    {"scope": "channel", "scopeId": "mail"},
    {"scope": "creative", "scopeId": "card-web"},
    {"scope": "segment", "scopeId": "vip"},
    {"scopes": [{"scope": "segment", "scopeId": "vip"}, {"scope": "offer", "scopeId": "save"}]},
]
RULES = [
    {"ruleType": "segment_required", "config": {"requiredSegments": ["vip"]}},
    {"ruleType": "attribute_condition", "config": {"attribute": "age", "operator": "gte", "value": 18}},
    {"ruleType": "offer_attribute", "config": {"attribute": "priority", "operator": "gte", "value": 60}},
    {"ruleType": "attribute_condition", "config": {"attribute": "age", "value": 40}, "stage": "match"},
    {"ruleType": "attribute_condition", "config": {"nonsense": 1}},
]
POLICIES = [
    {"ruleType": "frequency_cap", "config": {"maxPerDay": 1}},
    {"ruleType": "cooldown", "config": {"cooldownHours": 2}},
    {"ruleType": "customer_total_cap", "config": {"maxPerDay": 2}},
    {"ruleType": "mutual_exclusion", "config": {"offerGroup": ["loan", "save"], "withinDays": 1}},
    {"ruleType": "outcome_based", "config": {"afterOutcome": "complaint", "suppressForDays": 1}},
    {"ruleType": "category_suppression", "config": {"suppressionDays": 1, "afterOutcome": ["complaint"]}},
    {"ruleType": "segment_exclusion", "config": {"excludeSegments": ["vip"]}},
    {"ruleType": "frequency_cap", "config": {}},
]
OVERRIDE = {
    "ruleType": "allow_override",
    "config": {"conditions": [{"field": "offer.priority", "operator": "gte", "value": 70}]},
}
FLOWS = [
    flow({"type": "qualify"}, {"type": "contact_policy"}),
    flow({"type": "contact_policy"}, {"type": "qualify"}),
    flow({"type": "contact_policy", "config": {"mode": "explicit", "ids": ["p0"]}}, {"type": "qualify"}),
    flow(skip=["qualify"]),
    {
        "id": "f",
        "key": "f",
        "published": [
            {"id": kind, "type": kind}
            for kind in ("inventory", "qualify", "contact_policy", "match_creatives", "score", "response")
        ],
        "publishedVersion": 1,
    },
    {
        "id": "f",
        "key": "f",
        "published": [{"id": kind, "type": kind} for kind in ("inventory", "score", "response")],
        "publishedVersion": 1,
    },
]
OUTCOMES = ("complaint", "unsubscribe", "dismiss")


def scoped(kinds: list[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda kind, scope: {**kind, **scope}, st.sampled_from(kinds), st.sampled_from(SCOPES))


offers = st.tuples(
    *(
        st.fixed_dictionaries(
            {},
            optional={
                "mandatory": st.just(True),
                "frequencyCaps": st.just({"daily": 1}),
                "status": st.sampled_from(["paused", "active"]),
            },
        ).map(lambda fields, offer=offer: {**offer, **fields})
        for offer in OFFERS
    )
)
facts = st.builds(
    CustomerFacts,
    attributes=st.fixed_dictionaries({}, optional={"age": st.sampled_from([17, 40])}),
    segments=st.frozensets(st.just("vip")),
    reservations=st.lists(
        st.builds(ReservedImpression, st.sampled_from(SUBJECTS), st.integers(NOW_MS - 3 * HOUR_MS, NOW_MS)), max_size=4
    ),
    last_outcome_ms=st.dictionaries(
        st.tuples(st.sampled_from(OUTCOMES), st.sampled_from(SUBJECTS)), st.just(NOW_MS - HOUR_MS), max_size=2
    ),
    withheld=st.frozensets(st.sampled_from(["email", "marketing"]), max_size=1),
    objections=st.sampled_from([(), (), ("the contact profile says no",)]),
)
channels = st.sampled_from(["web", "mail", None])


def name(kind: str, entities: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": f"{kind}{number}", "name": f"{kind} {number}", **one} for number, one in enumerate(entities)]


def decide_and_explain(
    catalogue: Catalogue, customer: CustomerFacts, channel_id: str | None
) -> tuple[Decision, dict[str, Explanation]]:
    """Decide for a single place, so that nothing else is shown before, and explain all offers of the catalogue."""
    chosen = catalogue.choose_flow("f", None, None)
    assert chosen is not None, catalogue.problems
    request = Request(customer_id="ann", channel_id=channel_id, limit=1)
    task = DecisionTask(tenant=TENANT, catalogue=catalogue, flow=chosen, request=request)
    totals = TenantFacts()
    explained = explain_offers(task, customer, totals, catalogue.offers.values(), now_ms=NOW_MS, seed=7)
    decision = make_decision(task, customer, totals, now_ms=NOW_MS, seed=7)
    return decision, {explanation.offer.id: explanation for explanation in explained}


def find_blocked(decision: Decision) -> dict[str, list[str]]:
    """Return the reasons of the rules that block every candidate of an offer, by offer."""
    passing = {score.offer_id for score in decision.trace.scores}
    reasons: dict[str, list[str]] = {}
    for removal in decision.trace.removals:
        if removal.stage in RULE_STAGES and removal.offer_id not in passing:
            reasons.setdefault(removal.offer_id, []).append(removal.reason)
    return reasons


def list_blocking(explanation: Explanation) -> list[str]:
    return [rule.id for rule in (*explanation.rules, *explanation.policies) if rule.removes]


@given(
    st.lists(scoped(RULES), max_size=3),
    st.lists(scoped([*POLICIES, OVERRIDE]), max_size=4),
    offers,
    st.sampled_from(FLOWS),
    facts,
    channels,
)
def test_an_offer_is_blocked_if_and_only_if_its_explanation_names_a_blocking_rule(
    rules: list[dict[str, Any]],
    policies: list[dict[str, Any]],
    stock: tuple[dict[str, Any], ...],
    nodes: dict[str, Any],
    customer: CustomerFacts,
    channel_id: str | None,
):
    """The first reason is the one for which the decision removes the offer, with one of its creatives."""
    catalogue = bank(
        offer=stock,
        qualification_rule=name("r", rules),
        contact_policy=name("p", policies),
        decision_flow=[nodes],
    )
    decision, explained = decide_and_explain(catalogue, customer, channel_id)
    blocked = find_blocked(decision)
    active = {offer_id: one for offer_id, one in explained.items() if one.offer.status == "active"}
    assert {offer_id for offer_id, one in active.items() if list_blocking(one)} == blocked.keys()
    for offer_id, one in active.items():
        assert one.is_eligible is (offer_id not in blocked) is not bool(one.reasons)
        if offer_id in blocked:
            assert any(one.reasons[0].endswith(f": {reason}") for reason in blocked[offer_id])


@given(st.lists(scoped(RULES), max_size=2), st.lists(scoped(POLICIES), max_size=3), facts, channels)
def test_an_explanation_names_each_rule_that_would_block_the_offer_alone(
    rules: list[dict[str, Any]], policies: list[dict[str, Any]], customer: CustomerFacts, channel_id: str | None
):
    """Every rule is evaluated whatever others say; on one channel, each offer has a single candidate."""
    channel_id = channel_id or "web"
    parts = {"qualification_rule": name("r", rules), "contact_policy": name("p", policies)}
    _, explained = decide_and_explain(bank(**parts, decision_flow=[FLOWS[0]]), customer, channel_id)
    named = {(offer_id, rule_id) for offer_id, one in explained.items() for rule_id in list_blocking(one)}
    for kind, entities in parts.items():
        for one in entities:
            catalogue = bank(**{kind: [one]}, decision_flow=[FLOWS[0]])
            others_apart = CustomerFacts(
                attributes=customer.attributes,
                segments=customer.segments,
                reservations=customer.reservations,
                last_outcome_ms={key: at for key, at in customer.last_outcome_ms.items() if key[0] == "complaint"},
            )
            decision, _ = decide_and_explain(catalogue, others_apart, channel_id)
            alone = set(find_blocked(decision))
            assert {offer_id for offer_id, rule_id in named if rule_id == one["id"]} == alone
