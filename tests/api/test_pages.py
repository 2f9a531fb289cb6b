"""Page after page returns every row once: with equal times, with any page size, and while events keep arriving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.fixtures.api import Caller, CallerFactory

LAW: Final = settings(
    max_examples=5,
    deadline=None,
    # The factory makes a tenant for each example; what is shared has no state.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
START_MS: Final = 1_773_585_000_000


def _event(dice: tuple[int, int, int, int]) -> Mapping[str, Any]:
    minute, customer, offer, outcome = dice
    return {
        "customerId": f"c{customer}",
        "outcome": ("click", "impression", "dismiss")[outcome],
        "timestamp": START_MS + minute * 60_000_000,  # few different times, over two months
        "offerId": (None, "o1", "o2")[offer],
        "channelId": "web",
    }


events = st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 2), st.integers(0, 2)).map(_event)
logs = st.lists(events, min_size=1, max_size=25)
arrivals = st.lists(st.lists(events, min_size=1, max_size=4), max_size=2)
page_sizes = st.integers(2, 12)


def pages(read: Callable[[dict[str, Any]], tuple[Any, str | None]], size: int) -> Iterator[Sequence[Any]]:
    """The pages until there is none after; between them the caller of this may do something."""
    cursor = None
    while True:
        rows, cursor = read({"limit": size, **({"cursor": cursor} if cursor else {})})
        yield rows
        if cursor is None:
            return


def history(caller: Caller, parameters: Mapping[str, Any]) -> tuple[Any, str | None]:
    answer = caller.read("/interaction-history", params=parameters)
    pagination = answer["pagination"]
    assert pagination["hasMore"] is (pagination["nextCursor"] is not None)
    return answer["data"], pagination["nextCursor"]


def summaries(caller: Caller, parameters: Mapping[str, Any]) -> tuple[Any, str | None]:
    answer = caller.read("/interaction-summaries", params=parameters)
    assert answer["total"] == len(answer["data"])
    return answer["data"], answer["nextCursor"]


def identity(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the key of a summary of a customer."""
    return tuple(row[name] for name in ("periodType", "periodKey", "scope", "offerId", "creativeId", "channelId"))


@LAW
@given(log=logs, size=page_sizes, filters=st.sampled_from([{}, {"customerId": "c1"}, {"offerId": "o1"}]))
def test_pages_of_history_put_together_are_the_whole(
    new_caller: CallerFactory, log: Sequence[Mapping[str, Any]], size: int, filters: Mapping[str, str]
):
    caller = new_caller()
    caller.record(*log)
    whole, _ = history(caller, {**filters, "limit": 200})
    assert len(whole) == sum(all(event[name] == value for name, value in filters.items()) for event in log)
    assert [row["id"] for row in whole] == sorted({row["id"] for row in whole}, reverse=True)
    assert [row["timestamp"] for row in whole] == sorted((row["timestamp"] for row in whole), reverse=True)
    paged = [row for page in pages(lambda page: history(caller, {**filters, **page}), size) for row in page]
    assert paged == whole


@LAW
@given(log=logs, size=page_sizes, later=arrivals)
def test_events_that_arrive_between_pages_of_history_move_nothing(
    new_caller: CallerFactory, log: Sequence[Mapping[str, Any]], size: int, later: list[list[Mapping[str, Any]]]
):
    caller = new_caller()
    caller.record(*log)
    before, _ = history(caller, {"limit": 200})
    arriving, paged = iter(later), []
    for page in pages(lambda page: history(caller, page), size):
        paged += page
        if arrived := next(arriving, None):
            caller.record(*arrived)
    ids = [row["id"] for row in paged]
    assert ids == sorted(set(ids), reverse=True)
    assert {row["id"] for row in before} <= set(ids)


@LAW
@given(log=logs, size=page_sizes, filters=st.sampled_from([{}, {"periodType": "daily"}, {"offerId": "o1"}]))
def test_pages_of_summaries_put_together_are_the_whole(
    new_caller: CallerFactory, log: Sequence[Mapping[str, Any]], size: int, filters: Mapping[str, str]
):
    caller = new_caller()
    caller.record(*log)
    asked = {"customerId": "c1", **filters}
    whole, _ = summaries(caller, {**asked, "limit": 200})
    paged = [row for page in pages(lambda page: summaries(caller, {**asked, **page}), size) for row in page]
    assert paged == whole
    assert len({identity(row) for row in whole}) == len(whole)


@LAW
@given(log=logs, size=page_sizes, later=arrivals)
def test_events_that_arrive_between_pages_of_summaries_repeat_and_hide_no_row(
    new_caller: CallerFactory, log: Sequence[Mapping[str, Any]], size: int, later: list[list[Mapping[str, Any]]]
):
    caller = new_caller()
    caller.record(*log)
    before, _ = summaries(caller, {"customerId": "c0", "limit": 200})
    arriving, paged = iter(later), []
    for page in pages(lambda page: summaries(caller, {"customerId": "c0", **page}), size):
        paged += page
        if arrived := next(arriving, None):
            caller.record(*arrived)
    rows = [identity(row) for row in paged]
    assert len(rows) == len(set(rows))
    assert {identity(row) for row in before} <= set(rows)
