"""Conversion of purchases, impressions and clicks to events."""

from __future__ import annotations

import pytest

from rapport.datasets import cdnow, open_bandit
from rapport.datasets.wheels import DatasetError
from rapport.domain.events import InteractionRecorded, decode_event, encode_event

PURCHASES = """ customer_id  date number_of_cds  dollar_value
 00001 19970101  1   11.77
 00002 19970112  5   77.00
 00002 19970112  5   77.00
"""
LOG = """,timestamp,item_id,click,position,propensity_score,user_feature_0,user_feature_1,user_feature_2,user_feature_3
0,2019-11-24 00:00:34.762830+00:00,14,0,3,0.0125,a,b,c,d
1,2019-11-24 00:01:00+00:00,7,1,1,0.02,a,b,c,e
2,2019-11-24 00:02:00.5+00:00,7,0,2,0.02,a,b,c,d
"""


def test_a_purchase_is_a_conversion_at_noon_with_its_dollars():
    (event, *_) = cdnow.read_purchases(PURCHASES, "demo")
    assert (event.tenant_id, event.customer_id, event.outcome) == ("demo", "00001", "convert")
    assert (event.conversion_value, event.timestamp) == (11.77, "1997-01-01T12:00:00Z")
    assert bytes(event.outcome_details) == b'{"compactDiscs":1}'
    assert event.offer_id
    assert event.channel_id


def test_two_equal_lines_are_two_purchases():
    _, second, third = cdnow.read_purchases(PURCHASES, "demo")
    assert (second.conversion_value, second.timestamp) == (third.conversion_value, third.timestamp)
    assert second.idempotency_key != third.idempotency_key


def test_a_line_in_another_format_is_refused():
    with pytest.raises(DatasetError, match=r"line 2 .* has 3 columns"):
        list(cdnow.read_purchases("header\n 1 19970101 2\n", "demo"))


def test_a_row_is_an_impression_and_possibly_a_click_after_it():
    events = list(open_bandit.read_log(LOG, "bts", "men", "demo"))
    assert [event.outcome for event in events] == ["impression", "impression", "click", "impression"]
    shown, clicked = events[1], events[2]
    assert clicked.customer_id == shown.customer_id
    assert (clicked.offer_id, clicked.placement_id, clicked.timestamp) == (
        shown.offer_id,
        shown.placement_id,
        shown.timestamp,
    )
    assert (shown.offer_id, shown.placement_id, shown.channel_id) == ("men-7", "position-1", "web")
    assert shown.timestamp == "2019-11-24T00:01:00+00:00"
    assert bytes(shown.context) == b'{"policy":"bts","campaign":"men","propensity":0.02}'
    assert len({event.idempotency_key for event in events}) == 4


def test_visitors_with_equal_features_are_one_customer():
    first, second, _, last = open_bandit.read_log(LOG, "bts", "men", "demo")
    assert first.customer_id == last.customer_id != second.customer_id


def test_items_of_two_campaigns_are_two_offers():
    (men, *_), (everyone, *_) = (list(open_bandit.read_log(LOG, "bts", name, "demo")) for name in ("men", "all"))
    assert men.offer_id != everyone.offer_id
    assert men.idempotency_key != everyone.idempotency_key


def test_all_mapped_events_meet_the_contract():
    events = [*cdnow.read_purchases(PURCHASES, "demo"), *open_bandit.read_log(LOG, "random", "all", "demo")]
    for event in events:
        found = decode_event(encode_event(event))
        assert isinstance(found, InteractionRecorded)
        assert found == event
