from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.domain.outcomes import (
    DEFAULT_OUTCOME_TYPES,
    RECOMMENDATION,
    Classification,
    OutcomeCategory,
    OutcomeType,
    classify,
    derive_direction,
    group_versions,
)

LAW = settings(max_examples=200, deadline=None)

outcome_types = st.builds(
    OutcomeType,
    key=st.sampled_from(["click", "view"]),
    classification=st.sampled_from(Classification),
    category=st.sampled_from(OutcomeCategory),
    is_conversion=st.booleans(),
    effective_at_ms=st.integers(0, 20),
    is_active=st.booleans(),
)
histories = st.lists(outcome_types, max_size=8, unique_by=lambda o: (o.key, o.effective_at_ms))
times = st.integers(-1, 22)


@LAW
@given(history=histories, received_at_ms=times, outcome=st.sampled_from(["click", "view", "none"]))
def test_the_newest_version_that_was_effective_on_receipt_applies(
    history: list[OutcomeType], received_at_ms: int, outcome: str
):
    effective = [o for o in history if o.key == outcome and o.effective_at_ms <= received_at_ms]
    newest = max(effective, key=lambda o: o.effective_at_ms, default=None)
    expected = newest if newest is not None and newest.is_active else None
    assert classify(outcome, received_at_ms, group_versions(history)) == expected


@LAW
@given(history=histories, later=outcome_types, received_at_ms=times)
def test_a_change_never_reaches_back(history: list[OutcomeType], later: OutcomeType, received_at_ms: int):
    known = {(o.key, o.effective_at_ms) for o in history}
    if later.effective_at_ms <= received_at_ms or (later.key, later.effective_at_ms) in known:
        return
    before = classify(later.key, received_at_ms, group_versions(history))
    assert classify(later.key, received_at_ms, group_versions([*history, later])) == before


@LAW
@given(history=histories, data=st.data())
def test_the_order_in_which_versions_are_listed_does_not_matter(history: list[OutcomeType], data: st.DataObject):
    shuffled = data.draw(st.permutations(history))
    assert group_versions(shuffled) == group_versions(history)


def test_of_two_versions_effective_at_the_same_time_the_one_listed_last_applies():
    old = OutcomeType(key="click", classification=Classification.POSITIVE, category=OutcomeCategory.RESPONSE)
    new = OutcomeType(key="click", classification=Classification.NEUTRAL, category=OutcomeCategory.RESPONSE)
    assert classify("click", 5, group_versions([old, new])) == new


def test_an_outcome_is_unknown_before_its_first_version_and_after_it_was_deleted():
    positive, response = Classification.POSITIVE, OutcomeCategory.RESPONSE
    born = OutcomeType(key="upsell", classification=positive, category=response, effective_at_ms=10)
    gone = OutcomeType(key="upsell", classification=positive, category=response, effective_at_ms=20, is_active=False)
    versions = group_versions([gone, born])
    assert [classify("upsell", at, versions) for at in (9, 10, 19, 20, 99)] == [None, born, born, None, None]


def test_outcomes_are_told_apart_by_their_exact_spelling():
    versions = group_versions(DEFAULT_OUTCOME_TYPES)
    assert classify("click", 0, versions) is not None
    assert [classify(text, 0, versions) for text in ("Click", " click", "click ", "")] == [None] * 4


@pytest.mark.parametrize(
    ("category", "direction"),
    [
        (OutcomeCategory.IMPRESSION, "outbound"),
        (OutcomeCategory.RESPONSE, "inbound"),
        (OutcomeCategory.RECOMMENDATION, "outbound"),
    ],
)
def test_responses_are_inbound_by_default_and_all_else_outbound(category: OutcomeCategory, direction: str):
    assert derive_direction(category) == direction


def test_every_tenant_starts_with_the_documented_outcomes():
    by_key = {o.key: (o.classification.value, o.category.value, o.is_conversion) for o in DEFAULT_OUTCOME_TYPES}
    assert by_key == {
        "impression": ("neutral", "impression", False),
        "not_presented": ("neutral", "impression", False),
        "expired": ("neutral", "impression", False),
        "click": ("positive", "response", False),
        "accept": ("positive", "response", False),
        "convert": ("positive", "response", True),
        "conversion": ("positive", "response", True),
        "requested_info": ("positive", "response", False),
        "share": ("positive", "response", False),
        "save": ("positive", "response", False),
        "deferred": ("neutral", "response", False),
        "defer": ("neutral", "response", False),
        "dismiss": ("negative", "response", False),
        "not_interested": ("negative", "response", False),
        "opt_out": ("negative", "response", False),
        "unsubscribe": ("negative", "response", False),
        "complaint": ("negative", "response", False),
        RECOMMENDATION: ("neutral", "recommendation", False),
    }


def test_the_default_outcomes_have_each_key_once_and_hold_for_all_times():
    assert Counter(o.key for o in DEFAULT_OUTCOME_TYPES).most_common(1)[0][1] == 1
    assert all(o.effective_at_ms == 0 and o.is_active for o in DEFAULT_OUTCOME_TYPES)
