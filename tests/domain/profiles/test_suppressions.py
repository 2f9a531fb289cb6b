"""Suppressions that follow from outcomes, and the same ones in decisions."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.catalogue.suppression import DEFAULT_SUPPRESSION_RULES, SuppressionRule, select_active_rules
from rapport.domain.catalogue.values import Status
from rapport.domain.decisions.facts import CustomerFacts, Subject
from rapport.domain.periods import DAY_MS
from rapport.domain.profiles.suppressions import (
    NO_ENDINGS,
    Suppression,
    SuppressionEndings,
    Trigger,
    compute_suppressions,
)
from tests.domain.decisions.bank import bank, decided, flow, offers_of, reasons_of
from tests.domain.decisions.small_catalogue import NOW_MS

CATEGORIES: Final = {"loan": "credit", "card": "credit", "save": "deposits", "fund": "deposits", "lost": None}
EVERYTHING: Final = {"loan", "card", "save", "fund"}


def rule(days: float = 7, scope: Any = "offer", *outcomes: str, **fields: Any) -> SuppressionRule:
    return SuppressionRule(
        **{"id": "r", "name": "Rule", "outcomes": outcomes or ("dismiss",), "days": days, "scope": scope} | fields
    )


def ago(days: float, outcome: str = "dismiss", offer: str = "loan") -> Trigger:
    at_ms = NOW_MS - round(days * DAY_MS)
    return Trigger(f"{at_ms:014d}-{outcome}-{offer}", outcome, offer, at_ms)


def of(rules: list[SuppressionRule], *triggers: Trigger, endings: SuppressionEndings = NO_ENDINGS) -> list[Suppression]:
    return list(compute_suppressions(rules, triggers, CATEGORIES, NOW_MS, endings))


def build_facts(triggers: list[Trigger], endings: SuppressionEndings = NO_ENDINGS) -> CustomerFacts:
    latest: dict[tuple[str, Subject], int] = {}
    for one in triggers:
        key = one.outcome, Subject(one.offer_id, f"{one.offer_id}-web", "web")
        latest[key] = max(one.at_ms, latest.get(key, one.at_ms))
    return CustomerFacts(last_outcome_ms=latest, endings=endings)


def test_an_outcome_suppresses_its_offer_for_the_days_of_the_rule():
    (found,) = of([rule(7)], ago(3))
    assert (found.scope, found.scope_id, found.trigger_count) == ("offer", "loan", 1)
    assert (found.created_at_ms, found.expires_at_ms) == (NOW_MS - 3 * DAY_MS, NOW_MS + 4 * DAY_MS)
    assert found.reason == "Cooldown 168h after dismiss"
    assert found.is_active(NOW_MS)
    assert not found.is_active(found.expires_at_ms)


@pytest.mark.parametrize(("scope", "scope_id"), [("global", "all"), ("offer", "loan"), ("category", "credit")])
def test_a_suppression_has_the_scope_of_its_rule(scope: str, scope_id: str):
    assert [one.scope_id for one in of([rule(7, scope)], ago(1))] == [scope_id]


def test_an_outcome_without_offer_suppresses_none_but_may_suppress_all():
    assert of([rule(7), rule(7, "category")], ago(1, offer=""), ago(1, offer="gone")) == of(
        [rule(7)], ago(1, offer="gone")
    )
    assert [one.scope_id for one in of([rule(7, "global")], ago(1, offer=""))] == ["all"]


def test_an_outcome_prolongs_an_active_suppression_and_a_later_one_starts_another():
    ended, held = ago(30), [ago(10), ago(3, "convert"), ago(1)]
    found = of([rule(7.5, "offer", "dismiss", "convert")], *held, ended)
    assert [(one.trigger_count, one.is_active(NOW_MS)) for one in found] == [(3, True), (1, False)]
    assert found[0].created_at_ms == held[0].at_ms
    assert found[0].expires_at_ms == held[-1].at_ms + 7.5 * DAY_MS
    assert found[0].reason == "Cooldown 180h after dismiss"


@pytest.mark.parametrize(
    ("after", "endings", "ended_by"),
    [
        ([ago(1, "opt_in", "")], NO_ENDINGS, "opt_in"),
        ([], SuppressionEndings(granted_ms={"email": NOW_MS - DAY_MS}), "consent to email"),
        ([], SuppressionEndings(lifted_ms={("default-unsubscribe", "all"): NOW_MS - DAY_MS}), "lifted by an operator"),
    ],
)
def test_subscribing_again_ends_a_suppression(after: list[Trigger], endings: SuppressionEndings, ended_by: str):
    """mautic#5313: who had unsubscribed stayed so, however often they subscribed again."""
    rules = list(DEFAULT_SUPPRESSION_RULES)
    (ended,) = of(rules, ago(2, "unsubscribe"), *after, endings=endings)
    assert (ended.ended_by, ended.expires_at_ms, ended.is_active(NOW_MS)) == (ended_by, NOW_MS - DAY_MS, False)
    anew, before = of(rules, ago(2, "unsubscribe"), *after, ago(0.5, "unsubscribe"), endings=endings)
    assert (anew.is_active(NOW_MS), anew.ended_by, before.ended_by) == (True, "", ended_by)
    (held,) = of(rules, ago(0.5, "unsubscribe"), *after, endings=endings)
    assert held.is_active(NOW_MS)


def test_active_suppressions_come_first_then_the_latest():
    found = of([rule(7), rule(90, "global", "opt_out", id="g")], ago(80, "opt_out"), ago(30), ago(20, offer="card"))
    assert [(one.rule_id, one.scope_id) for one in found] == [("g", "all"), ("r", "card"), ("r", "loan")]


def test_a_tenant_without_rules_has_the_documented_ones():
    assert select_active_rules([]) == DEFAULT_SUPPRESSION_RULES
    days = {outcome: (one.days, one.scope) for one in DEFAULT_SUPPRESSION_RULES for outcome in one.outcomes}
    assert days["unsubscribe"] == days["unsubscribed"] == days["opt_out"] == (90, "global")
    assert days["dismiss"] == (7, "offer")
    assert days["convert"] == days["conversion"] == (14, "offer")


def test_one_rule_of_the_tenant_replaces_all_defaults():
    assert select_active_rules([rule(id="b"), rule(id="a")]) == [rule(id="a"), rule(id="b")]
    assert select_active_rules([rule(status=Status.PAUSED)]) == []


triggers = st.lists(
    st.builds(
        ago,
        st.floats(0, 20).map(lambda days: round(days, 3)),
        st.sampled_from(["dismiss", "convert", "opt_out", "opt_in"]),
        st.sampled_from(["loan", "card", "save", "fund", ""]),
    ),
    max_size=8,
)
rule_sets = st.lists(
    st.builds(
        rule,
        st.sampled_from([1, 2.5, 7, 14]),
        st.sampled_from(["global", "offer", "category"]),
        st.sampled_from(["dismiss", "convert", "opt_out"]),
        id=st.sampled_from("abcd"),
        ended_by=st.lists(st.sampled_from(["convert", "opt_in"]), max_size=2, unique=True),
        ended_by_consent=st.lists(st.sampled_from(["marketing", "email"]), max_size=2, unique=True),
        bypassable=st.booleans(),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda one: one.id,
)


_past = st.floats(0, 20).map(lambda days: NOW_MS - round(days * DAY_MS))
some_endings = st.builds(
    SuppressionEndings,
    granted_ms=st.dictionaries(st.sampled_from(["marketing", "email", "sms"]), _past),
    lifted_ms=st.dictionaries(st.tuples(st.sampled_from("abcd"), st.sampled_from(["all", "loan", "credit"])), _past),
)


@given(rule_sets, triggers, some_endings)
def test_a_decision_shows_the_offers_without_an_active_suppression(
    rules: list[SuppressionRule], happened: list[Trigger], endings: SuppressionEndings
):
    catalogue = bank(
        suppression_rule=[
            {
                "id": one.id,
                "outcomes": list(one.outcomes),
                "scope": one.scope,
                "days": one.days,
                "bypassable": one.bypassable,
                "endedBy": list(one.ended_by),
                "endedByConsent": list(one.ended_by_consent),
            }
            for one in rules
        ]
    )
    covered: set[str] = set()
    for one in of(rules, *happened, endings=endings):
        if one.is_active(NOW_MS):
            covered |= {offer for offer in EVERYTHING if one.scope_id in ("all", offer, CATEGORIES[offer])}
    assert set(offers_of(decided(catalogue, build_facts(happened, endings)))) == EVERYTHING - covered


@given(rule_sets, triggers, st.randoms())
def test_the_order_of_events_and_their_repetition_change_nothing(
    rules: list[SuppressionRule], happened: list[Trigger], random: Any
):
    once = list(dict.fromkeys(happened))
    shuffled = random.sample(once, len(once))
    assert of(rules, *shuffled) == of(rules, *once)


@pytest.mark.parametrize("bypassable", [False, True])
@pytest.mark.parametrize("past", ["override", "mandatory"])
def test_only_a_bypassable_suppression_yields_to_overrides_and_mandatory_offers(past: str, *, bypassable: bool):
    more: dict[str, Any] = {
        "suppression_rule": [{"id": "s", "name": "Quiet", "outcomes": ["dismiss"], "days": 7, "bypassable": bypassable}]
    }
    if past == "override":
        more["contact_policy"] = [{"id": "o", "ruleType": "allow_override", "scope": "global", "priority": 90}]
    else:
        more["offer"] = [{"id": "loan", "categoryId": "credit", "priority": 90, "mandatory": True}]
    decision = decided(bank(**more), build_facts([ago(1)]))
    assert ("loan" in offers_of(decision)) is bypassable
    if not bypassable:
        assert reasons_of(decision)["loan"].startswith("contact_policy s: dismiss 1.0 days ago")


def test_no_flow_can_skip_suppressions_that_are_not_bypassable():
    catalogue = bank(decision_flow=[flow(skip=["contact_policy"])])
    assert set(offers_of(decided(catalogue, build_facts([ago(1)]), key="f"))) == EVERYTHING
    decision = decided(catalogue, build_facts([ago(1, "opt_out")]), key="f")
    assert offers_of(decision) == []
    assert {reason.partition(":")[0] for reason in reasons_of(decision).values()} == {
        "contact_policy default-unsubscribe"
    }


def test_a_flow_that_chooses_its_policies_keeps_suppressions():
    catalogue = bank(
        contact_policy=[{"id": "cap", "ruleType": "frequency_cap", "scope": "global", "config": {"maxPerDay": 99}}],
        decision_flow=[flow({"type": "contact_policy", "config": {"mode": "explicit", "ids": ["cap"]}})],
    )
    shown = offers_of(decided(catalogue, build_facts([ago(1), ago(1, "convert", "save")]), key="f"))
    assert set(shown) == {"card", "fund"}
