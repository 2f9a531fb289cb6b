"""Cursors lead back to where a page ended, on every paged route, and any other text is refused."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from api.http.cursors import BAD_CURSOR, MAX_LENGTH, Cursors
from api.http.errors import Fault
from rapport.domain.api_keys import Role

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

TEXTS: Final = Cursors[str](Annotated[str, Meta(min_length=1, max_length=256)])
NUMBERS: Final = Cursors[int](Annotated[int, Meta(ge=1, lt=1 << 32)])
KEYS: Final = Cursors[tuple[float | str, str]](tuple[float | str, str])
texts = st.text(min_size=1, max_size=256)


def read(cursors: Cursors[Any], text: str) -> Any:
    faults: list[Fault] = []
    position = cursors.read(text, faults)
    assert faults == ([] if position is not None else [BAD_CURSOR])
    return position


@given(texts, st.integers(1, (1 << 32) - 1), st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.text())
def test_a_cursor_is_read_as_the_position_it_was_written_for(text: str, number: int, first: float | str, second: str):
    assert read(TEXTS, TEXTS.write(text)) == text
    assert read(NUMBERS, NUMBERS.write(number)) == number
    assert read(KEYS, KEYS.write((first, second))) == (first, second)


def test_without_a_cursor_a_list_begins_at_its_beginning():
    faults: list[Fault] = []
    assert TEXTS.read(None, faults) is None
    assert faults == []


@given(st.text())
def test_any_text_is_a_position_or_a_fault(text: str):
    for cursors in (TEXTS, NUMBERS, KEYS):
        read(cursors, text)


@given(st.lists(st.integers(1, 1_000), unique=True, max_size=30).map(sorted), st.integers(1, 10))
def test_pages_cut_by_cursors_put_together_are_the_whole(rows: list[int], limit: int):
    found: list[int] = []
    cursor = None
    while True:
        after = NUMBERS.read(cursor, []) or 0
        page = [(row,) for row in rows if row > after][: limit + 1]
        shown, cursor = NUMBERS.cut(page, limit, itemgetter(0))
        assert len(shown) <= limit
        found += [row for (row,) in shown]
        if cursor is None:
            break
    assert found == rows


def test_the_longest_key_of_a_summary_fits_into_a_cursor():
    cursors = Cursors[tuple[str, ...]](tuple[str, str, str, str, str, str])
    assert len(cursors.write(("monthly", "2026-01", *["\U0001f600" * 256] * 3, "channel"))) <= MAX_LENGTH


PAGED: Final = (
    "/api/v1/interaction-history",
    "/api/v1/interaction-summaries",
    "/api/v1/audit-logs",
    "/api/v1/offers",
    "/api/v1/contact-policies",
    "/api/v1/segments/gold/members",
    "/api/v1/customers/ann/versions",
    "/api/v2.0/profiles",
)


@pytest.mark.parametrize("path", PAGED)
@pytest.mark.parametrize("cursor", ["ü", "-1", "W10", "x" * 500])
def test_every_paged_route_refuses_a_text_that_is_no_cursor(caller: Caller, path: str, cursor: str):
    customer = {"customerId": "ann"} if path.endswith("/interaction-summaries") else {}
    headers = {"X-API-Key": caller.keys[Role.ADMIN]}
    answer = caller.client.get(path, params={"cursor": cursor, **customer}, headers=headers)
    if path.endswith("/members") and answer.status_code != 400:
        assert answer.status_code == 404  # any text may be the id of a customer, and there is no such segment
        return
    assert answer.status_code == 400, answer.text
    assert [(fault["field"], fault["message"]) for fault in answer.json()["details"]] == [
        (BAD_CURSOR.field, BAD_CURSOR.message)
    ]


def test_a_page_of_summaries_with_the_longest_ids_has_a_next_one(caller: Caller):
    long = "\u00e4" * 256
    for number in range(3):
        caller.record(
            {
                "customerId": "ann",
                "outcome": "click",
                "offerId": f"{long[:-1]}{number}",
                "creativeId": long,
                "channelId": long,
            }
        )
    first = caller.read("/interaction-summaries", params={"customerId": "ann", "limit": 2})
    second = caller.read(
        "/interaction-summaries", params={"customerId": "ann", "limit": 2, "cursor": first["nextCursor"]}
    )
    assert len(first["nextCursor"]) > 1_000
    assert len(second["data"]) == 2
