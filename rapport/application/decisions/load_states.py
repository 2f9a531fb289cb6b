"""Customer states (:mod:`rapport.domain.customer_states`): loaded from the tables, and the facts that they give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from rapport.application.decisions.load_facts import CustomerFactsResult, build_contexts, complete_facts, finish_facts
from rapport.domain.customer_states import MAX_EVENTS, NEVER_MS, make_state
from rapport.domain.customers.customer import CustomerKey
from rapport.domain.decisions.contact_facts import FactsResult
from rapport.domain.events import FIRST_ID, make_first_id
from rapport.domain.periods import to_local_date
from rapport.storage.customer_reads import read_events, read_stored_summaries
from rapport.storage.customers import load_snapshots
from rapport.storage.decision_facts import add_summaries, list_current_periods
from rapport.storage.history_facts import add_events, find_first_needed_ms, plan_history
from rapport.storage.segments import load_memberships

if TYPE_CHECKING:
    from datetime import date

    from rapport.application.decisions.load_facts import CustomerFactsQuery
    from rapport.domain.customer_states import CustomerState
    from rapport.domain.customers.context import CustomerContext
    from rapport.domain.customers.customer import CustomerSnapshot
    from rapport.domain.metrics import StoredEvent
    from rapport.domain.summaries import StoredSummary
    from rapport.storage.client import Store


@dataclass(frozen=True, slots=True)
class StateQuery:
    """Query for the state of one customer id.

    Attributes:
        time_zone: IANA name of the tenant's zone.
        now_ms: Epoch milliseconds.
        history_ms: Time from which events are needed, if the customer has too many to keep all, epoch milliseconds.
    """

    key: CustomerKey
    time_zone: str
    now_ms: int
    history_ms: int

    @property
    def today(self) -> date:
        """The calendar day of the tenant."""
        return to_local_date(self.now_ms, self.time_zone)


class StateEvents(NamedTuple):
    """Events of one customer that are kept in the state.

    Attributes:
        from_ms: All events that occurred from this time on are there, epoch milliseconds.
    """

    events: list[StoredEvent]
    from_ms: int


def build_state_query(query: CustomerFactsQuery, key: CustomerKey) -> StateQuery:
    """Build the query for the state of one of a customer's ids that answers a query for facts."""
    contacts = query.contacts
    return StateQuery(key, contacts.time_zone, contacts.now_ms, find_first_needed_ms(contacts))


def read_state_contacts(
    store: Store, queries: Sequence[StateQuery]
) -> tuple[Iterable[StoredSummary], Mapping[CustomerKey, StateEvents]]:
    """Read the summary rows of states and then, by customer, the events: all that the rows count are among them."""
    periods = {key for query in queries for key in list_current_periods(query.today)}
    rows = read_stored_summaries(store, {query.key for query in queries}, periods)
    return rows, _read_events(store, queries)


def _read_events(store: Store, queries: Sequence[StateQuery]) -> Mapping[CustomerKey, StateEvents]:
    """Read the events of states: all of a customer or, where those are too many, as many as are needed."""
    events = {query.key: StateEvents([], 0) for query in queries}
    found, long = read_events(store, list(events), FIRST_ID, MAX_EVENTS)
    for event in found:
        events[CustomerKey(*event.customer)].events.append(event)
    late = {query.key: query.history_ms for query in queries if query.key in long}
    if late:
        from_ms = min(late.values())
        found, long = read_events(store, list(late), make_first_id(from_ms), MAX_EVENTS)
        events.update((key, StateEvents([], NEVER_MS if key in long else from_ms)) for key in late)
        for event in found:
            events[CustomerKey(*event.customer)].events.append(event)
    return events


def build_states(
    queries: Sequence[StateQuery],
    rows: Iterable[StoredSummary],
    snapshots: Mapping[CustomerKey, CustomerSnapshot],
    memberships: Mapping[CustomerKey, Mapping[str, int]],
    events: Mapping[CustomerKey, StateEvents],
) -> list[CustomerState]:
    """Build states of what was read, in the order of the queries."""
    rows_by_customer: dict[CustomerKey, list[StoredSummary]] = {}
    for row in rows:
        rows_by_customer.setdefault(CustomerKey(*row.customer), []).append(row)
    return [
        make_state(
            query.key,
            time_zone=query.time_zone,
            today=query.today,
            rows=rows_by_customer.get(query.key, ()),
            events=events[query.key].events,
            events_from_ms=events[query.key].from_ms,
            asked_from_ms=query.history_ms,
            snapshot=snapshots[query.key],
            memberships=memberships[query.key],
        )
        for query in queries
    ]


def load_states(store: Store, queries: Sequence[StateQuery]) -> list[CustomerState]:
    """Load the states of several customers, in the order of the queries.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    rows, events = read_state_contacts(store, queries)
    keys = [query.key for query in queries]
    snapshots, memberships = read_state_snapshots(store, keys), read_state_memberships(store, keys)
    return build_states(queries, rows, snapshots, memberships, events)


def read_state_snapshots(store: Store, keys: Sequence[CustomerKey]) -> Mapping[CustomerKey, CustomerSnapshot]:
    """Read the snapshots of states."""
    return dict(zip(keys, load_snapshots(store, keys), strict=True))


def read_state_memberships(store: Store, keys: Sequence[CustomerKey]) -> Mapping[CustomerKey, Mapping[str, int]]:
    """Read the memberships of states, those in inactive segments included."""
    return dict(zip(keys, load_memberships(store, keys), strict=True))


def build_facts(query: CustomerFactsQuery, states: Sequence[CustomerState]) -> CustomerFactsResult | None:
    """Build the facts of a customer from states; None if the states do not have all events that are needed.

    Args:
        query: The facts.
        states: The state of each id of the customer, in the order of the ids.
    """
    context = _build_context(query, states)
    contacts = replace(query.contacts, customer_zone=context.time_zone)
    facts = FactsResult()
    applied = add_summaries([contacts], [facts], [row for state in states for row in state.rows])
    plan = plan_history([contacts], [facts])
    if plan is not None:
        if any(state.events_from_ms > plan.first_ms for state in states):
            return None
        add_events(plan, [contacts], [facts], applied, [event for state in states for event in state.events])
    return finish_facts(query, context, facts)


def is_too_short(query: CustomerFactsQuery, state: CustomerState) -> bool:
    """Return whether a state should be loaded anew because a query needs earlier events than it was loaded with."""
    needed_ms = find_first_needed_ms(query.contacts)
    return state.events_from_ms > needed_ms and state.asked_from_ms > needed_ms


def complete_facts_of_states(
    store: Store, query: CustomerFactsQuery, states: Sequence[CustomerState]
) -> CustomerFactsResult:
    """Build the facts of a customer from states, and read from the tables the events that the states do not have.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    rows = [row for state in states for row in state.rows]
    (result,) = complete_facts(store, [query], rows, [_build_context(query, states)])
    return result


def _build_context(query: CustomerFactsQuery, states: Sequence[CustomerState]) -> CustomerContext:
    by_key = dict(zip(query.context.keys, states, strict=True))
    snapshots = {key: state.snapshot for key, state in by_key.items()}
    memberships = {key: state.memberships for key, state in by_key.items()}
    (context,) = build_contexts([query.context], snapshots, memberships)
    return context
