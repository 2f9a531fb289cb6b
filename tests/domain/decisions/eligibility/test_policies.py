from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.catalogue.inventory import Budget, Offer
from rapport.domain.catalogue.strategy import POLICY_TYPES, ContactPolicy
from rapport.domain.configs import ConfigError
from rapport.domain.decisions.candidates import Candidate
from rapport.domain.decisions.eligibility.policies import compile_policy
from rapport.domain.decisions.facts import Counts, CustomerFacts, ReservedImpression, TenantFacts
from rapport.domain.decisions.windows import ALL_TIME, Window, WindowKind, WindowUnit, WindowZone
from tests.domain.decisions.small_catalogue import (
    CARD_ON_WEB,
    DAY_MS,
    HOUR_MS,
    LOAN_BY_MAIL,
    LOAN_ON_WEB,
    LOAN_WEB,
    MEMBERS,
    NOW_MS,
    SAVE_ON_WEB,
    WEB,
    context,
    evaluate_policy,
    is_blocked,
    shown,
)

TODAY = Window(WindowKind.CALENDAR, WindowUnit.DAY)
MONTH = Window(WindowKind.CALENDAR, WindowUnit.MONTH)
LAST_DAY = Window(WindowKind.ROLLING, WindowUnit.DAY)
THREE_DAYS = Window(WindowKind.ROLLING, WindowUnit.DAY, count=3)


@pytest.mark.parametrize(("times", "blocked"), [(0, False), (2, False), (3, True), (4, True)])
def test_a_cap_of_three_a_day_blocks_the_fourth(times: int, *, blocked: bool):
    run = context(shown(TODAY, *[LOAN_ON_WEB] * times))
    assert is_blocked("frequency_cap", {"maxPerDay": 3}, run) is blocked


@pytest.mark.parametrize(
    ("scope", "scope_id", "blocked"),
    [
        ("global", None, True),
        ("offer", "loan", True),
        ("offer", "card", False),
        ("offer", "*", True),
        ("creative", "loan-web", False),
        ("channel", "web", False),
        ("channel", "mail", False),
        ("category", "credit", True),
        ("category", "deposits", False),
        ("subcategory", "personal", True),
        ("segment", "vip", False),
    ],
)
def test_a_cap_counts_what_its_scope_covers(scope: str, scope_id: str | None, *, blocked: bool):
    run = context(shown(TODAY, LOAN_BY_MAIL, LOAN_BY_MAIL))
    assert is_blocked("frequency_cap", {"maxPerDay": 2}, run, scope=scope, scope_id=scope_id) is blocked


def test_a_scope_that_does_not_cover_a_candidate_gives_no_verdict():
    run = context(shown(TODAY, CARD_ON_WEB))
    assert evaluate_policy("frequency_cap", {"maxPerDay": 1}, run, scope="offer", scope_id="card") is None


def test_a_segment_scope_applies_to_its_members():
    run = context(shown(TODAY, SAVE_ON_WEB), segments=frozenset({"vip"}))
    assert is_blocked("frequency_cap", {"maxPerDay": 1}, run, scope="segment", scope_id="vip")


def test_a_placement_scope_counts_the_creatives_of_the_placement():
    run = context(shown(TODAY, CARD_ON_WEB), placement_id="hero")
    assert is_blocked("frequency_cap", {"maxPerDay": 1}, run, scope="placement", scope_id="hero")
    assert not is_blocked(
        "frequency_cap", {"maxPerDay": 1}, context(shown(TODAY, LOAN_ON_WEB)), scope="placement", scope_id="hero"
    )


@pytest.mark.parametrize(
    ("config", "window"),
    [
        ({"maxPerDay": 1}, TODAY),
        ({"maxPerWeek": 1}, Window(WindowKind.CALENDAR, WindowUnit.WEEK)),
        ({"maxPerMonth": 1}, MONTH),
        ({"maxTotal": 1}, ALL_TIME),
        ({"maxPerDay": 1, "window": "rolling"}, LAST_DAY),
        ({"maxContacts": 1, "windowDays": 3}, THREE_DAYS),
        ({"maxContacts": 1, "windowHours": 6}, Window(WindowKind.ROLLING, WindowUnit.HOUR, count=6)),
        ({"maxPerDay": 1, "timeZone": "customer"}, Window(WindowKind.CALENDAR, WindowUnit.DAY, WindowZone.CUSTOMER)),
    ],
)
@pytest.mark.parametrize("rule_type", ["frequency_cap", "cross_channel_cap", "customer_total_cap"])
def test_a_cap_counts_in_its_own_window(rule_type: str, config: dict[str, Any], window: Window):
    assert is_blocked(rule_type, config, context(shown(window, LOAN_ON_WEB)))
    other = ALL_TIME if window != ALL_TIME else MONTH
    assert not is_blocked(rule_type, config, context(shown(other, LOAN_ON_WEB)))


@pytest.mark.parametrize(
    ("counts", "blocked"),
    [("impressions", False), ("contacts", True), ("responses", True), ("positive", True), ("converts", False)],
)
def test_a_cap_counts_the_configured_events(counts: str, *, blocked: bool):
    facts = CustomerFacts(counts={TODAY: {LOAN_ON_WEB: Counts(positive=1)}})
    assert is_blocked("frequency_cap", {"maxPerDay": 1, "counts": counts}, context(facts)) is blocked


def test_caps_over_all_channels_count_everything():
    run = context(shown(TODAY, SAVE_ON_WEB, LOAN_BY_MAIL))
    assert is_blocked("cross_channel_cap", {"maxPerDay": 2}, run, scope="channel", scope_id="web")
    assert is_blocked("customer_total_cap", {"maxPerDay": 2}, run)


def test_a_reservation_counts_as_an_impression_of_its_window():
    today = CustomerFacts(reservations=[ReservedImpression(LOAN_ON_WEB, NOW_MS - HOUR_MS)])
    yesterday = CustomerFacts(reservations=[ReservedImpression(LOAN_ON_WEB, NOW_MS - DAY_MS)])
    assert is_blocked("frequency_cap", {"maxPerDay": 1}, context(today))
    assert not is_blocked("frequency_cap", {"maxPerDay": 1}, context(yesterday))


def test_the_tenants_day_begins_at_its_own_midnight():
    one_in_the_morning = round(datetime(2026, 3, 18, 0, 30, tzinfo=UTC).timestamp() * 1000)
    facts = CustomerFacts(reservations=[ReservedImpression(LOAN_ON_WEB, one_in_the_morning - HOUR_MS)])
    cap = {"maxPerDay": 1}
    assert not is_blocked("frequency_cap", cap, context(facts, now_ms=one_in_the_morning))
    west = TenantFacts(time_zone="America/New_York")
    assert is_blocked("frequency_cap", cap, context(facts, west, now_ms=one_in_the_morning))


@pytest.mark.parametrize(("hours_ago", "blocked"), [(0, True), (23.9, True), (24, False), (25, False)])
def test_a_cooldown_ends_when_its_hours_have_passed(hours_ago: float, *, blocked: bool):
    facts = CustomerFacts(last_contact_ms={LOAN_ON_WEB: NOW_MS - round(hours_ago * HOUR_MS)})
    assert is_blocked("cooldown", {"cooldownHours": 24}, context(facts)) is blocked


def test_a_cooldown_passes_customers_without_contacts():
    assert not is_blocked("cooldown", {"cooldownHours": 24}, context())


@pytest.mark.parametrize(
    ("budget", "today", "ever", "blocked"),
    [
        (Budget(max_per_day=10), 9, 100, False),
        (Budget(max_per_day=10), 10, 10, True),
        (Budget(max_total=100), 0, 100, True),
        (Budget(daily_cap_cents=500, cost_per_impression_cents=50), 10, 10, True),
        (Budget(lifetime_cap_cents=500, cost_per_impression_cents=50), 0, 9, False),
        (Budget(), 10**9, 10**9, False),
    ],
)
def test_a_used_up_budget_blocks_its_offer(budget: Budget, today: int, ever: int, *, blocked: bool):
    candidate = Candidate(Offer(id="loan", name="Loan", budget=budget), LOAN_WEB, WEB)
    run = context(tenant=TenantFacts(shown_today={"loan": today}, shown={"loan": ever}))
    assert is_blocked("budget_exhausted", {}, run, candidate) is blocked


@pytest.mark.parametrize(("days_ago", "blocked"), [(0, True), (6.9, True), (7, False)])
@pytest.mark.parametrize("config", [{"afterOutcome": "dismiss"}, {"afterOutcome": ["x", "dismiss"]}])
def test_an_outcome_suppresses_contacts_for_some_days(config: dict[str, Any], days_ago: float, *, blocked: bool):
    facts = CustomerFacts(last_outcome_ms={("dismiss", LOAN_ON_WEB): NOW_MS - round(days_ago * DAY_MS)})
    assert is_blocked("outcome_based", {**config, "suppressForDays": 7}, context(facts)) is blocked


def test_complaints_are_a_preset():
    facts = CustomerFacts(last_outcome_ms={("complaint", SAVE_ON_WEB): NOW_MS - DAY_MS})
    assert is_blocked("outcome_based", {"preset": "complaints"}, context(facts))
    assert not is_blocked("outcome_based", {"preset": "complaints"}, context(facts), scope="offer", scope_id="loan")


def test_an_excluded_segment_is_not_contacted():
    config = {"excludeSegments": ["employees"]}
    assert is_blocked("segment_exclusion", config, context(segments=frozenset({"employees"})))
    assert not is_blocked("segment_exclusion", config, context(segments=frozenset({"vip"})))


@pytest.mark.parametrize(
    ("config", "blocked"),
    [
        ({"allowedDays": [3], "startHour": 12, "endHour": 13}, False),
        ({"allowedDays": [1, 2, 4]}, True),
        ({"startHour": 13}, True),
        ({"endHour": 12}, True),
        ({"startHour": 22, "endHour": 6}, True),
        ({"startHour": 22, "endHour": 13}, False),
    ],
)
def test_contacts_are_blocked_outside_allowed_hours(config: dict[str, Any], *, blocked: bool):
    assert is_blocked("time_window", config, context()) is blocked


def test_allowed_hours_may_follow_the_customers_time_zone():
    config = {"startHour": 21, "endHour": 22, "timeZone": "customer"}
    assert not is_blocked("time_window", config, context(CustomerFacts(time_zone="Asia/Tokyo")))
    assert is_blocked("time_window", config, context(CustomerFacts()))
    assert is_blocked("time_window", {"timeZone": "customer"}, context(CustomerFacts(unknown_zone="CST")))
    assert not is_blocked("time_window", {}, context(CustomerFacts(unknown_zone="CST")))


def test_a_group_shows_only_one_of_its_offers():
    config = {"offerGroup": ["loan", "card"], "withinDays": 7}
    seen = CustomerFacts(last_contact_ms={CARD_ON_WEB: NOW_MS - DAY_MS})
    verdict = evaluate_policy("mutual_exclusion", config, context(seen))
    assert verdict is not None
    assert verdict.detail == {"offerGroup": ["card", "loan"], "conflictingOfferId": "card"}
    long_ago = CustomerFacts(last_contact_ms={CARD_ON_WEB: NOW_MS - 7 * DAY_MS})
    assert not is_blocked("mutual_exclusion", config, context(long_ago))
    itself = CustomerFacts(last_contact_ms={LOAN_ON_WEB: NOW_MS})
    assert not is_blocked("mutual_exclusion", config, context(itself))


def test_a_refusal_suppresses_the_whole_category():
    facts = CustomerFacts(last_outcome_ms={("not_interested", CARD_ON_WEB): NOW_MS - DAY_MS})
    assert is_blocked("category_suppression", {"suppressionDays": 2}, context(facts))
    assert is_blocked("category_suppression", {"categoryId": "credit", "suppressionDays": 2}, context(facts))
    assert not is_blocked("category_suppression", {"categoryId": "deposits"}, context(facts))
    assert not is_blocked("category_suppression", {"suppressionDays": 1}, context(facts))
    assert not is_blocked("category_suppression", {"subCategoryId": "personal"}, context(facts))


@pytest.mark.parametrize(("value", "blocked"), [(None, False), (2.0, False), (3.0, True)])
def test_a_metric_condition_blocks(value: float | None, *, blocked: bool):
    facts = CustomerFacts(metrics={} if value is None else {"complaints": value})
    config = {"metric": "complaints", "operator": "gte", "value": 3}
    assert is_blocked("metric_condition", config, context(facts)) is blocked


def test_an_override_applies_if_its_conditions_hold():
    config = {"conditions": [{"field": "attributes.urgent", "operator": "eq", "value": True}]}
    assert is_blocked("allow_override", config, context(attributes={"urgent": True}))
    assert not is_blocked("allow_override", config, context(attributes={"urgent": False}))
    assert is_blocked("allow_override", {}, context())


@pytest.mark.parametrize("rule_type", POLICY_TYPES)
def test_every_policy_type_reports_faults_of_its_config(rule_type: str):
    policy = ContactPolicy(id="p", name="p", rule_type=rule_type, config={"bypassable": "no", "typo": 1})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"typo: is not known; known are .*bypassable: Expected `bool`"):
        compile_policy(policy, MEMBERS)


@given(st.lists(st.sampled_from([LOAN_ON_WEB, LOAN_BY_MAIL, CARD_ON_WEB]), max_size=6), st.integers(1, 5))
def test_more_contacts_never_allow_again(contacts: list[Any], most: int):
    def blocked(number: int) -> bool:
        run = context(shown(TODAY, *contacts[:number]))
        return is_blocked("frequency_cap", {"maxPerDay": most}, run, scope="offer", scope_id="*")

    verdicts = [blocked(number) for number in range(len(contacts) + 1)]
    assert verdicts == sorted(verdicts)
