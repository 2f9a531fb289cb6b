"""Frequency caps over time, compared with a model that counts every exposure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rapport.domain.decisions.decision import Decision
from rapport.domain.decisions.facts import Counts, CustomerFacts, ReservedImpression, Subject, TenantFacts
from rapport.domain.decisions.windows import Window
from tests.domain.decisions.bank import bank, decided, flow, offers_of
from tests.domain.decisions.small_catalogue import HOUR_MS

LOAN_ON_WEB = Subject("loan", "loan-web", "web")
THREE_A_DAY = {
    "id": "thrice",
    "ruleType": "frequency_cap",
    "config": {"maxPerDay": 3},
    "scope": "offer",
    "scopeId": "loan",
}


def at_ms(text: str, zone: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "day", "next_day"),
    [
        ("UTC", "2026-03-18", "2026-03-19"),
        ("America/New_York", "2026-03-18", "2026-03-19"),
        ("Europe/Berlin", "2026-03-28", "2026-03-29"),  # the next day has 23 hours
        ("Europe/Berlin", "2026-03-29", "2026-03-30"),
        ("Europe/Berlin", "2026-10-25", "2026-10-26"),  # this day has 25 hours
        ("Africa/Cairo", "2026-04-23", "2026-04-24"),  # the next day has no midnight
    ],
)
def test_a_daily_cap_of_three_omits_the_offer_until_the_tenants_next_day(zone: str, day: str, next_day: str):
    catalogue, tenant = bank(contact_policy=[THREE_A_DAY]), TenantFacts(time_zone=zone)
    first = at_ms(f"{day}T00:00", zone)
    midnight = at_ms(f"{next_day}T00:00", zone)
    if datetime.fromtimestamp(midnight / 1000, ZoneInfo(zone)).hour == 1:
        midnight = at_ms(f"{next_day}T01:00", zone)
    shown: list[ReservedImpression] = []
    for hour in range(3):
        decision = decided(catalogue, CustomerFacts(reservations=shown), tenant, now_ms=first + hour * HOUR_MS)
        assert "loan" in offers_of(decision)
        shown.append(ReservedImpression(LOAN_ON_WEB, first + hour * HOUR_MS))
    last = decided(catalogue, CustomerFacts(reservations=shown), tenant, now_ms=midnight - 1)
    assert "loan" not in offers_of(last)
    assert [one.by for one in last.trace.removals if one.offer_id == "loan"] == ["thrice"]
    assert "loan" in offers_of(decided(catalogue, CustomerFacts(reservations=shown), tenant, now_ms=midnight))


@pytest.mark.parametrize(
    ("rule_type", "scope", "most"),
    [
        ("frequency_cap", {"scope": "global"}, 3),
        ("frequency_cap", {"scope": "category", "scopeId": "credit"}, 1),
        ("frequency_cap", {"scope": "channel", "scopeId": "web"}, 2),
        ("customer_total_cap", {"scope": "global"}, 2),
    ],
)
def test_one_decision_never_shows_more_than_a_cap_allows(rule_type: str, scope: dict[str, str], most: int):
    policy = {"id": "cap", "ruleType": rule_type, "config": {"maxPerDay": most}, **scope}
    shown = offers_of(decided(bank(contact_policy=[policy])))
    assert len([one for one in shown if scope["scope"] != "category" or one in ("loan", "card")]) == most
    assert len(shown) == (most + 2 if scope["scope"] == "category" else most)


@dataclass
class History:
    """Exposures, separated by whether the tables count them."""

    stored: list[tuple[Subject, int]] = field(default_factory=list)
    reserved: list[tuple[Subject, int]] = field(default_factory=list)


CAPS = {
    "offer": {"maxPerDay": 2, "maxPerWeek": 5},
    "category": {"maxPerDay": 3},
    "global": {"maxContacts": 4, "windowHours": 12},
}
BERLIN = TenantFacts(time_zone="Europe/Berlin")
CATALOGUE = bank(
    contact_policy=[
        {"id": scope, "ruleType": "frequency_cap", "config": config, "scope": scope, "scopeId": "*"}
        for scope, config in CAPS.items()
    ],
    decision_flow=[flow({"type": "contact_policy"}, {"type": "rank", "config": {"method": "top_score"}})],
)
CATEGORY = {"loan": "credit", "card": "credit", "save": "deposits", "fund": "deposits"}


class Interleavings(RuleBasedStateMachine):
    """Decisions, impressions that are counted late or never, and passing time, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.history = History()
        self.now_ms = 0
        self.exposures: list[tuple[Subject, int]] = []

    @initialize(day=st.integers(0, 30))
    def begin(self, day: int) -> None:
        start = datetime(2026, 3, 15, 21, tzinfo=UTC) + timedelta(days=day)
        self.now_ms = round(start.timestamp() * 1000)

    def facts(self) -> CustomerFacts:
        return CustomerFacts(
            counts={window: self.counted(window) for window in CATALOGUE.needs.windows},
            reservations=[ReservedImpression(*one) for one in self.history.reserved],
        )

    def counted(self, window: Window) -> dict[Subject, Counts]:
        start_ms = window.start_ms(self.now_ms, BERLIN.time_zone)
        counts: dict[Subject, Counts] = {}
        for subject, then_ms in self.history.stored:
            if then_ms >= start_ms:
                counts[subject] = counts.get(subject, Counts()).plus(Counts(impressions=1))
        return counts

    @rule(limit=st.integers(1, 5))
    def decide(self, limit: int) -> None:
        decision: Decision = decided(CATALOGUE, self.facts(), BERLIN, key="f", now_ms=self.now_ms, limit=limit)
        for item in decision.items:
            exposure = Subject(item.offer_id, item.creative_id or "", "web"), self.now_ms
            self.history.reserved.append(exposure)
            self.exposures.append(exposure)
        for removal in decision.trace.removals:
            if removal.stage == "contact_policy":
                assert self.is_full(removal.offer_id), removal

    @rule()
    def store_the_oldest(self) -> None:
        if self.history.reserved:
            self.history.stored.append(self.history.reserved.pop(0))

    @rule()
    def lapse_the_newest(self) -> None:
        if self.history.reserved:
            self.exposures.remove(self.history.reserved.pop())

    @rule(minutes=st.sampled_from([0, 1, 30, 60, 600, 1440, 5000]))
    def wait(self, minutes: int) -> None:
        self.now_ms += minutes * 60_000

    def seen(self, start_ms: int, offers: set[str]) -> int:
        return sum(then_ms >= start_ms and subject.offer_id in offers for subject, then_ms in self.exposures)

    def totals(self, offer: str) -> list[tuple[int, int]]:
        """Return the exposures that count for an offer with their maxima, by plain calendar arithmetic."""
        midnight = datetime.fromtimestamp(self.now_ms / 1000, ZoneInfo("Europe/Berlin")).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        day_ms = round(midnight.timestamp() * 1000)
        week_ms = round((midnight - timedelta(days=midnight.weekday())).timestamp() * 1000)
        siblings = {one for one, category in CATEGORY.items() if category == CATEGORY[offer]}
        return [
            (self.seen(day_ms, {offer}), 2),
            (self.seen(week_ms, {offer}), 5),
            (self.seen(day_ms, siblings), 3),
            (self.seen(self.now_ms - 12 * HOUR_MS, set(CATEGORY)), 4),
        ]

    def is_full(self, offer: str) -> bool:
        return any(seen >= most for seen, most in self.totals(offer))

    @invariant()
    def no_cap_is_exceeded(self) -> None:
        assert all(seen <= most for offer in CATEGORY for seen, most in self.totals(offer))


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
