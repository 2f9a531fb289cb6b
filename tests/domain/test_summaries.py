from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.domain.outcomes import Classification, OutcomeCategory
from rapport.domain.periods import PeriodType
from rapport.domain.summaries import Contact, Summary, SummaryKey, add_contact, fold, list_keys
from tests.fixtures.contacts import SOURCES, flatten, log_pairs, single_logs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LAW = settings(max_examples=100, deadline=None)

Messages = list[list[Contact]]
COUNTS = ("impressions", "positive", "negative", "neutral", "converts")

CLICK = Contact(
    tenant_id="acme",
    customer_id="ann",
    offer_id="loan",
    creative_id="",
    channel_id="web",
    source=SOURCES[0],
    offset=3,
    item=0,
    occurred_at_ms=1_000,
    local_day=date(2024, 12, 30),
    outcome="click",
    classification=Classification.POSITIVE,
    category=OutcomeCategory.RESPONSE,
    is_conversion=False,
    direction="inbound",
    conversion_value=Decimal("9.50"),
)
ALLTIME = SummaryKey("acme", "ann", "alltime", "alltime", "loan", "", "web", SOURCES[0])


def totals(rows: Mapping[SummaryKey, Summary], *names: str) -> dict[tuple[str, ...], dict[str, Decimal]]:
    """Sum counts and value of rows by some parts of their keys."""
    added: dict[tuple[str, ...], Counter[str]] = {}
    for key, row in rows.items():
        counter = added.setdefault(tuple(getattr(key, name) for name in names), Counter())
        for name in (*COUNTS, "total_value"):
            counter[name] += getattr(row, name)
    return {key: dict(counter) for key, counter in added.items()}


def count_of(contacts: Iterable[Contact]) -> int:
    return sum(contact.category is not OutcomeCategory.RECOMMENDATION for contact in contacts)


@LAW
@given(log=single_logs, data=st.data())
def test_folding_a_log_in_two_steps_gives_the_same_as_in_one(log: Messages, data: st.DataObject):
    cut = data.draw(st.integers(0, len(log)))
    before = fold({}, flatten(log[:cut]))
    assert before | fold(before, flatten(log[cut:])) == fold({}, flatten(log))


@LAW
@given(logs=log_pairs, data=st.data())
def test_how_the_logs_of_two_sources_interleave_does_not_matter(logs: list[Messages], data: st.DataObject):
    turns = data.draw(st.permutations([0] * len(logs[0]) + [1] * len(logs[1])))
    ahead = [iter(log) for log in logs]
    interleaved = flatten(next(ahead[turn]) for turn in turns)
    assert fold({}, interleaved) == fold({}, flatten(logs[0])) | fold({}, flatten(logs[1]))


@LAW
@given(log=single_logs, data=st.data())
def test_counts_do_not_depend_on_the_source_or_the_order_events_come_in(log: Messages, data: st.DataObject):
    contacts = flatten(log)
    shuffled = data.draw(st.permutations(contacts))
    sources = data.draw(st.lists(st.sampled_from(SOURCES), min_size=len(contacts), max_size=len(contacts)))
    elsewhere = [
        replace(contact, source=source, offset=offset, item=0)
        for offset, (contact, source) in enumerate(zip(shuffled, sources, strict=True))
    ]
    about = [field.name for field in fields(SummaryKey) if field.name not in ("source", "block")]
    assert totals(fold({}, elsewhere), *about) == totals(fold({}, contacts), *about)


@LAW
@given(logs=log_pairs)
def test_days_weeks_months_and_all_time_add_up_to_the_same(logs: list[Messages]):
    contacts = flatten([*logs[0], *logs[1]])
    about = ("tenant_id", "customer_id", "offer_id", "creative_id", "channel_id", "source")
    rows = fold({}, contacts)
    by_granularity = [
        totals({key: row for key, row in rows.items() if key.period_type == period_type}, *about)
        for period_type in PeriodType
    ]
    assert all(added == by_granularity[0] for added in by_granularity)


@LAW
@given(log=single_logs)
def test_a_contact_counts_once_as_impression_positive_negative_or_neutral(log: Messages):
    contacts = flatten(log)
    rows = fold({}, contacts)
    counted = sum(
        row.impressions + row.positive + row.negative + row.neutral
        for key, row in rows.items()
        if key.period_type == PeriodType.ALLTIME
    )
    assert counted == count_of(contacts)


@LAW
@given(log=single_logs)
def test_the_last_contact_is_the_latest_by_time_then_by_offset(log: Messages):
    contacts = [contact for contact in flatten(log) if contact.category is not OutcomeCategory.RECOMMENDATION]
    for key, row in fold({}, contacts).items():
        own = [contact for contact in contacts if key in list_keys(contact)]
        last = max(own, key=lambda contact: (contact.occurred_at_ms, contact.offset, contact.item))
        assert (row.last_contact_at_ms, row.last_outcome, row.last_direction) == (
            last.occurred_at_ms,
            last.outcome,
            last.direction,
        )
        assert row.applied_offset == max(contact.offset for contact in own)


def test_a_contact_counts_in_the_four_periods_of_its_day():
    assert [(key.period_type, key.period_key) for key in list_keys(CLICK)] == [
        ("daily", "2024-12-30"),
        ("weekly", "2025-W01"),
        ("monthly", "2024-12"),
        ("alltime", "alltime"),
    ]


@pytest.mark.parametrize(
    ("category", "classification", "counted"),
    [
        (OutcomeCategory.IMPRESSION, Classification.NEUTRAL, "impressions"),
        (OutcomeCategory.IMPRESSION, Classification.POSITIVE, "impressions"),
        (OutcomeCategory.RESPONSE, Classification.POSITIVE, "positive"),
        (OutcomeCategory.RESPONSE, Classification.NEGATIVE, "negative"),
        (OutcomeCategory.RESPONSE, Classification.NEUTRAL, "neutral"),
    ],
)
def test_an_impression_counts_as_nothing_else_and_a_response_by_its_classification(
    category: OutcomeCategory, classification: Classification, counted: str
):
    row = fold({}, [replace(CLICK, category=category, classification=classification)])[ALLTIME]
    assert {name: getattr(row, name) for name in COUNTS} == dict.fromkeys(COUNTS, 0) | {counted: 1}


def test_a_conversion_counts_in_converts_and_by_its_classification_too():
    row = fold({}, [replace(CLICK, is_conversion=True)])[ALLTIME]
    assert (row.converts, row.positive) == (1, 1)


@pytest.mark.parametrize(("classification", "value"), [("positive", "9.50"), ("negative", "0"), ("neutral", "0")])
def test_only_positive_outcomes_add_their_value(classification: str, value: str):
    row = fold({}, [replace(CLICK, classification=Classification(classification))])[ALLTIME]
    assert row.total_value == Decimal(value)


def test_values_add_up_without_rounding():
    contacts = [replace(CLICK, offset=n, conversion_value=Decimal("0.1")) for n in range(1_000)]
    assert fold({}, contacts)[ALLTIME].total_value == Decimal(100)


def test_a_recommendation_is_no_contact():
    assert fold({}, [replace(CLICK, category=OutcomeCategory.RECOMMENDATION)]) == {}


def test_items_of_one_message_count_each():
    row = fold({}, [CLICK, replace(CLICK, item=1), replace(CLICK, item=2)])[ALLTIME]
    assert (row.positive, row.applied_offset) == (3, CLICK.offset)


def test_a_late_event_counts_in_its_own_period_and_does_not_become_the_last_contact():
    late = replace(CLICK, offset=4, occurred_at_ms=500, local_day=date(2024, 12, 29), outcome="dismiss")
    rows = fold(fold({}, [CLICK]), [late])
    assert {(key.period_type, key.period_key) for key in rows} == {
        ("daily", "2024-12-29"),
        ("weekly", "2024-W52"),
        ("monthly", "2024-12"),
        ("alltime", "alltime"),
    }
    assert (rows[ALLTIME].last_contact_at_ms, rows[ALLTIME].last_outcome) == (1_000, "click")


def test_of_two_events_at_the_same_time_the_higher_offset_is_the_last_contact():
    rows = fold({}, [CLICK, replace(CLICK, offset=4, outcome="dismiss", direction="outbound")])
    assert (rows[ALLTIME].last_outcome, rows[ALLTIME].last_direction) == ("dismiss", "outbound")


def test_only_changed_rows_are_returned():
    before = fold({}, [CLICK])
    other = replace(CLICK, offset=4, customer_id="bob")
    assert {key.customer_id for key in fold(before, [other])} == {"bob"}


def test_adding_a_contact_leaves_the_row_before_it_as_it_was():
    before = Summary(applied_offset=1)
    after = add_contact(before, CLICK)
    assert (before, after.positive) == (Summary(applied_offset=1), 1)
