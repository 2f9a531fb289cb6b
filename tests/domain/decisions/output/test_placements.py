from __future__ import annotations

import msgspec
import pytest

from rapport.domain.decisions.candidates import PlacementRequest, Request
from rapport.domain.decisions.decision import Decision
from rapport.domain.decisions.request_resolution import resolve_request
from tests.domain.decisions.bank import CREATIVES, bank, decided, flow

HERO = PlacementRequest(placement_id="p-hero")
SIDE = PlacementRequest(placement_id="p-side", limit=2)
TOP = {"type": "rank", "config": {"method": "top_score"}}
OPTIMAL = {"type": "group", "config": {"method": "optimal"}}
ONLY_LOAN_FITS_THE_SIDE = [
    {"id": "loan-side", "offerId": "loan", "channelId": "web", "placementId": "p-side", "weight": 90},
    {"id": "loan-web", "offerId": "loan", "channelId": "web", "placementId": "p-hero"},
    *(
        {"id": f"{offer}-web", "offerId": offer, "channelId": "web", "placementId": "p-hero"}
        for offer in ("card", "save", "fund")
    ),
]


def places(decision: Decision) -> dict[str | None, list[str]]:
    shown: dict[str | None, list[str]] = {one.placement_id: [] for one in decision.placement_results}
    for item in decision.items:
        shown[item.placement_id].append(item.offer_id)
    assert {one.placement_id: one.count for one in decision.placement_results} == {
        placement: len(offers) for placement, offers in shown.items()
    }
    return shown


def test_placements_are_filled_in_turn_and_an_offer_is_shown_once():
    decision = decided(bank(decision_flow=[flow(TOP)]), key="f", placements=[HERO, SIDE])
    assert places(decision) == {"p-hero": ["loan"], "p-side": ["card", "save"]}
    assert [item.rank for item in decision.items] == [1, 2, 3]
    taken = next(one for one in decision.trace.removals if one.offer_id == "loan")
    assert (taken.placement_id, taken.reason) == ("p-side", "the offer is shown in another placement")


def test_without_deduplication_each_placement_shows_its_best():
    decision = decided(bank(decision_flow=[flow(TOP)]), key="f", placements=[HERO, SIDE], deduplicate=False)
    assert places(decision) == {"p-hero": ["loan"], "p-side": ["loan", "card"]}


def test_an_optimal_allocation_gives_an_offer_to_the_placement_that_needs_it():
    placements = [HERO, PlacementRequest(placement_id="p-side")]
    greedy = bank(creative=ONLY_LOAN_FITS_THE_SIDE, decision_flow=[flow(TOP)])
    assert places(decided(greedy, key="f", placements=placements)) == {"p-hero": ["loan"], "p-side": []}
    optimal = bank(creative=ONLY_LOAN_FITS_THE_SIDE, decision_flow=[flow(TOP, OPTIMAL)])
    assert places(decided(optimal, key="f", placements=placements)) == {"p-hero": ["card"], "p-side": ["loan"]}


def test_optimal_allocation_deduplicates_unless_the_request_says_otherwise():
    placements = [HERO, PlacementRequest(placement_id="p-side")]
    optimal = bank(creative=ONLY_LOAN_FITS_THE_SIDE, decision_flow=[flow(TOP, OPTIMAL)])
    assert places(decided(optimal, key="f", placements=placements, deduplicate=None)) == {
        "p-hero": ["card"],
        "p-side": ["loan"],
    }
    refused = decided(optimal, key="f", placements=placements, deduplicate=False)
    assert places(refused) == {"p-hero": ["loan"], "p-side": ["loan"]}
    assert any("allocates optimally" in problem for problem in refused.trace.problems)
    greedy = decided(bank(decision_flow=[flow(TOP)]), key="f", placements=[HERO, SIDE], deduplicate=None)
    assert places(greedy) == {"p-hero": ["loan"], "p-side": ["loan", "card"]}


def test_an_optimal_allocation_shows_mandatory_offers():
    offers = [{"id": "fund", "categoryId": "deposits", "priority": 1, "mandatory": True}]
    catalogue = bank(offer=offers, decision_flow=[flow(TOP, OPTIMAL)])
    decision = decided(catalogue, key="f", placements=[HERO, PlacementRequest(placement_id="p-side")])
    assert {item.offer_id for item in decision.items} == {"fund", "loan"}


@pytest.mark.parametrize("group", [[], [OPTIMAL]])
def test_a_cap_counts_what_the_same_decision_shows_elsewhere(group: list[dict[str, object]]):
    cap = {"id": "two", "ruleType": "customer_total_cap", "config": {"maxPerDay": 2}, "scope": "global"}
    catalogue = bank(contact_policy=[cap], decision_flow=[flow({"type": "contact_policy"}, TOP, *group)])
    decision = decided(catalogue, key="f", placements=[HERO, SIDE])
    assert len(decision.items) == 2
    blocked = [one for one in decision.trace.removals if one.stage == "contact_policy"]
    assert blocked
    assert {(one.by, one.reason) for one in blocked} == {
        ("two", "cap reached: 2/2 impressions in calendar day (tenant) at all channels")
    }


def test_an_offers_own_cap_applies_across_placements():
    catalogue = bank(
        offer=[{"id": "loan", "priority": 90, "frequencyCaps": {"daily": 1}}],
        decision_flow=[flow({"type": "contact_policy"}, TOP)],
    )
    decision = decided(catalogue, key="f", placements=[HERO, SIDE], deduplicate=False)
    assert places(decision) == {"p-hero": ["loan"], "p-side": ["card", "save"]}


HEAD, BODY = PlacementRequest(placement_id="p-head"), PlacementRequest(placement_id="p-body", limit=2)
ONLY_THE_HEAD = [
    {**fields, "placementId": "p-head"} if fields["channelId"] == "mail" else fields for fields in CREATIVES
]


def test_an_atomic_channel_stays_empty_if_one_of_its_placements_does():
    catalogue = bank(creative=ONLY_THE_HEAD, decision_flow=[flow(TOP)])
    decision = decided(catalogue, key="f", placements=[HERO, HEAD, BODY])
    assert places(decision) == {"p-hero": ["loan"], "p-head": [], "p-body": []}
    assert [msgspec.to_builtins(one) for one in decision.trace.coupling] == [
        {"channelId": "mail", "placement": "p-head", "cascaded": True},
        {"channelId": "mail", "placement": "p-body", "cascaded": False},
    ]
    emptied = next(one for one in decision.trace.removals if one.by == "mail")
    assert (emptied.offer_id, emptied.placement_id) == ("card", "p-head")
    assert emptied.reason == "placement p-body of the same atomic channel stayed empty"


def test_a_flow_can_override_the_coupling_of_channels():
    partial = bank(creative=ONLY_THE_HEAD, decision_flow=[flow(TOP, couplingOverride="partial")])
    assert places(decided(partial, key="f", placements=[HEAD, BODY])) == {"p-head": ["loan"], "p-body": []}
    atomic = bank(
        creative=[{**one, "placementId": "p-hero"} for one in CREATIVES if one["channelId"] == "web"],
        decision_flow=[flow(TOP, couplingOverride="atomic")],
    )
    assert places(decided(atomic, key="f", placements=[HERO, SIDE])) == {"p-hero": [], "p-side": []}


def test_a_full_atomic_channel_is_shown():
    decision = decided(bank(decision_flow=[flow(TOP)]), key="f", placements=[HEAD, BODY])
    assert places(decision) == {"p-head": ["loan"], "p-body": ["card", "save"]}
    assert decision.trace.coupling == []


def test_placements_are_named_by_id_or_key():
    wanted = [PlacementRequest(placement_id="side"), PlacementRequest(placement_id="p-head")]
    request, problems = resolve_request(bank(), Request(customer_id="ann", placement_id="hero", placements=wanted))
    assert (request.placement_id, request.channel_id, problems) == ("p-hero", "web", ())
    assert request.placements == [
        PlacementRequest(placement_id="p-side", channel_id="web"),
        PlacementRequest(placement_id="p-head", channel_id="mail"),
    ]


def test_an_ambiguous_placement_key_means_the_one_on_the_requested_channel():
    catalogue = bank(placement=[{"id": "z-hero", "key": "hero", "channelId": "mail"}])
    by_id = resolve_request(catalogue, Request(customer_id="ann", placement_id="hero", channel_id="mail"))
    by_type = resolve_request(catalogue, Request(customer_id="ann", placement_id="hero", channel_type="email"))
    assert by_id.request.placement_id == by_type.request.placement_id == "z-hero"
    assert resolve_request(catalogue, Request(customer_id="ann", placement_id="hero")).request.placement_id == "p-hero"


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (Request(customer_id="ann", channel_id="fax"), "there is no active channel 'fax'"),
        (Request(customer_id="ann", placement_id="top"), "there is no active placement 'top'"),
        (
            Request(customer_id="ann", placement_id="hero", channel_id="mail"),
            "there is no active placement 'hero' on channel 'mail'",
        ),
        (
            Request(customer_id="ann", channel_type="email", placements=[HERO]),
            "there is no active placement 'p-hero' on a channel of type 'email'",
        ),
    ],
)
def test_a_name_that_does_not_exist_is_a_problem(request_: Request, problem: str):
    assert resolve_request(bank(), request_).problems == (problem,)
