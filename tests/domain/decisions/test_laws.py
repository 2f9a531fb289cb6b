"""Laws that hold for every catalogue, customer and request."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.catalogue.values import ScopeKind
from rapport.domain.decisions.candidates import Candidate, Context, PlacementRequest, Request
from rapport.domain.decisions.contact_counts import ContactHistory
from rapport.domain.decisions.eligibility.policies import Policy
from rapport.domain.decisions.eligibility.scopes import describe_scope, find_scoped_id, select_subjects
from rapport.domain.decisions.facts import (
    EVERYTHING,
    Counts,
    CustomerFacts,
    ReservedImpression,
    Selection,
    Subject,
    TenantFacts,
)
from rapport.domain.decisions.verdict import Verdict
from rapport.domain.decisions.windows import Window, WindowKind, WindowUnit
from tests.domain.decisions.bank import CREATIVES, OFFERS, bank, decided, flow, offers_of
from tests.domain.decisions.small_catalogue import HOUR_MS, NOW_MS

TODAY = Window(WindowKind.CALENDAR, WindowUnit.DAY)
IDS = [str(offer["id"]) for offer in OFFERS]
SUBJECTS = [Subject(one["offerId"], one["id"], one["channelId"]) for one in CREATIVES]
SCOPES = [
    ("global", None),
    ("offer", "*"),
    ("category", "*"),
    ("category", "credit"),
    ("channel", "*"),
    ("creative", "*"),
]
VIPS = ("segment", "vip")
POLICIES = [
    ("frequency_cap", {"maxPerDay": 2}),
    ("frequency_cap", {"maxContacts": 1, "windowHours": 3}),
    ("cooldown", {"cooldownHours": 2}),
    ("customer_total_cap", {"maxPerDay": 3}),
    ("mutual_exclusion", {"offerGroup": ["loan", "save"], "withinDays": 1}),
]
OTHERS = [
    ("outcome_based", {"afterOutcome": "complaint", "suppressForDays": 1}),
    ("category_suppression", {"suppressionDays": 1, "afterOutcome": ["complaint"]}),
    ("segment_exclusion", {"excludeSegments": ["vip"]}),
    ("allow_override", {"conditions": [{"field": "offer.priority", "operator": "gte", "value": 70}]}),
]
policies = st.lists(st.tuples(st.sampled_from(POLICIES), st.sampled_from(SCOPES)), max_size=4)
reservations = st.lists(
    st.builds(ReservedImpression, st.sampled_from(SUBJECTS), st.integers(NOW_MS - 30 * HOUR_MS, NOW_MS)), max_size=8
)
excluded = st.frozensets(st.sampled_from(IDS))
BANDIT = {"id": "m", "key": "m", "modelType": "thompson_bandit"}
CHANCE = bank(
    model=[BANDIT], decision_flow=[flow({"type": "score", "config": {"method": "propensity", "modelKey": "m"}})]
)


def with_policies(given_: list[Any], **more: Any) -> Any:
    own = [
        {"id": f"p{number}", "ruleType": kind, "config": config, "scope": scope, "scopeId": scope_id}
        for number, ((kind, config), (scope, scope_id)) in enumerate(given_)
    ]
    return bank(contact_policy=own, **more)


def find_blocking(policy: Policy, candidate: Candidate, context: Context) -> Verdict | None:
    """Return the first blocking verdict of a policy, evaluated without any index under one scope after the other."""
    for scope in policy.scopes:
        if scope.scope is ScopeKind.SEGMENT:
            selection = EVERYTHING if scope.scope_id in context.segments else None
        else:
            selection = select_subjects(scope, find_scoped_id(scope.scope, candidate, context), policy.members)
        if selection is not None:
            verdict = policy.check(candidate, context, selection, describe_scope(scope))
            if verdict.is_blocked:
                return verdict
    return None


def allowed(catalogue: Any, contacts: list[ReservedImpression]) -> set[str]:
    """Return the offers that pass the policies if each is decided alone."""
    facts = CustomerFacts(reservations=contacts)
    return {one for one in IDS if offers_of(decided(catalogue, facts, excluded_offers=frozenset(IDS) - {one}, limit=1))}


@given(policies, reservations, st.integers(0, 8))
def test_more_contacts_never_allow_again(given_: list[Any], contacts: list[ReservedImpression], fewer: int):
    catalogue = with_policies(given_)
    assert allowed(catalogue, contacts) <= allowed(catalogue, contacts[:fewer])


@given(policies, reservations, excluded)
def test_excluded_offers_are_not_shown_nor_replaced_by_blocked_ones(
    given_: list[Any], contacts: list[ReservedImpression], without: frozenset[str]
):
    catalogue = with_policies(given_)
    facts = CustomerFacts(reservations=contacts)
    shown = set(offers_of(decided(catalogue, facts, excluded_offers=without)))
    assert not shown & without
    assert shown <= allowed(catalogue, contacts)


@given(
    st.lists(
        st.tuples(st.sampled_from([*POLICIES, *OTHERS]), st.sampled_from([*SCOPES, ("segment", "vip")])), max_size=6
    ),
    reservations,
    st.dictionaries(st.tuples(st.just("complaint"), st.sampled_from(SUBJECTS)), st.just(NOW_MS - HOUR_MS), max_size=2),
    st.frozensets(st.just("vip")),
)
def test_a_flow_reports_the_first_blocking_verdict_of_its_policies(
    given_: list[Any],
    contacts: list[ReservedImpression],
    complaints: dict[tuple[str, Subject], int],
    segments: frozenset[str],
):
    facts = CustomerFacts(reservations=contacts, last_outcome_ms=complaints, segments=segments)
    catalogue = with_policies(given_)
    decision = decided(catalogue, facts)
    (stage,) = (one for one in decision.trace.stages if one.stage == "contact_policy")
    by_policies = [one for one in decision.trace.removals if one.stage == "contact_policy"]
    before = by_policies[: stage.candidates - stage.passed]  # others left because of what is shown before them
    context = Context(Request(customer_id="ann", channel_id="web"), facts, TenantFacts(), NOW_MS)
    expected: dict[str, tuple[str, str]] = {}
    for offer_id in IDS:
        (creative,) = (one for one in catalogue.creatives[offer_id] if one.channel_id == "web")
        candidate = Candidate(catalogue.offers[offer_id], creative, catalogue.channels["web"])
        said = [(policy, find_blocking(policy, candidate, context)) for policy in catalogue.policies]
        if any(policy.overrides for policy, verdict in said if verdict):
            continue
        blocked = [(policy.entity.id, verdict.reason) for policy, verdict in said if verdict]
        if blocked:
            expected[offer_id] = blocked[0]
    assert {one.offer_id: (one.by, one.reason) for one in before} == expected


@given(policies, reservations, st.integers(1, 5), st.sampled_from(["top_score", "diversity", "round_robin"]))
def test_a_smaller_limit_gives_a_prefix(given_: list[Any], contacts: list[ReservedImpression], limit: int, method: str):
    nodes = ({"type": "contact_policy"}, {"type": "rank", "config": {"method": method}})
    catalogue = with_policies(given_, decision_flow=[flow(*nodes)])
    facts = CustomerFacts(reservations=contacts)
    assert (
        offers_of(decided(catalogue, facts, key="f", limit=limit))
        == offers_of(decided(catalogue, facts, key="f"))[:limit]
    )


@given(policies, reservations, excluded, st.booleans())
def test_every_offer_is_shown_or_its_absence_explained(
    given_: list[Any],
    contacts: list[ReservedImpression],
    without: frozenset[str],
    several: bool,  # noqa: FBT001
):
    places = [PlacementRequest(placement_id="p-hero"), PlacementRequest(placement_id="p-side", limit=2)]
    decision = decided(
        with_policies(given_),
        CustomerFacts(reservations=contacts),
        excluded_offers=without,
        placements=places if several else [],
        limit=2,
    )
    for place in decision.placement_results:
        here = [one for one in decision.trace.removals if one.placement_id == place.placement_id]
        shown = decision.items if not several else [i for i in decision.items if i.placement_id == place.placement_id]
        assert {one.offer_id for one in here} | {item.offer_id for item in shown} == set(IDS)


@given(st.integers(0, 2**63), st.text("abc", min_size=1, max_size=3))
def test_the_same_arguments_give_the_same_decision(seed: int, customer_id: str):
    first = decided(CHANCE, key="f", seed=seed, customer_id=customer_id)
    again = decided(CHANCE, key="f", seed=seed, customer_id=customer_id)
    assert msgspec.json.encode(first, enc_hook=list) == msgspec.json.encode(again, enc_hook=list)
    assert first.seed == seed


def test_another_seed_gives_other_random_draws():
    assert len({tuple(offers_of(decided(CHANCE, key="f", seed=seed))) for seed in range(20)}) > 1


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_selection_probabilities_add_up_to_at_most_the_places(seed: int, limit: int):
    items = decided(CHANCE, key="f", seed=seed, limit=limit).items
    assert all(0 < item.propensity <= 1 for item in items)
    assert sum(item.propensity for item in items) <= limit + 1e-9


@given(
    st.dictionaries(st.sampled_from(SUBJECTS), st.builds(Counts, *[st.integers(0, 3)] * 5)),
    reservations,
    st.lists(st.sampled_from(SUBJECTS), max_size=2),
    st.none() | st.frozensets(st.sampled_from([*IDS, "gone"])),
    st.none() | st.frozensets(st.sampled_from([one.creative_id for one in SUBJECTS])),
    st.none() | st.frozensets(st.sampled_from(["web", "mail"])),
)
def test_a_count_is_the_sum_over_the_selection(
    counts: dict[Subject, Counts],
    reserved: list[ReservedImpression],
    shown: list[Subject],
    offers: frozenset[str] | None,
    creatives: frozenset[str] | None,
    channels: frozenset[str] | None,
):
    selection = Selection(offers, creatives, channels)
    facts = CustomerFacts(
        counts={TODAY: counts}, reservations=reserved, last_contact_ms=dict.fromkeys(counts, NOW_MS - 40 * HOUR_MS)
    )
    history = ContactHistory.from_facts(facts, NOW_MS, TenantFacts().time_zone).with_shown(shown)
    covered = [value for subject, value in counts.items() if selection.covers(subject)]
    midnight_ms = TODAY.start_ms(NOW_MS, "UTC")
    reserved_now = sum(one.at_ms >= midnight_ms and selection.covers(one.subject) for one in reserved)
    extra = reserved_now + sum(map(selection.covers, shown))
    assert history.count(TODAY, selection) == Counts(
        sum(one.impressions for one in covered) + extra,
        *(sum(one[index] for one in covered) for index in range(1, 5)),
    )
    times = [NOW_MS - 40 * HOUR_MS for _ in covered] + [NOW_MS for one in shown if selection.covers(one)]
    times += [one.at_ms for one in reserved if selection.covers(one.subject)]
    assert history.find_latest_contact(selection) == max(times, default=None)
