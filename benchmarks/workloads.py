"""Workloads: the topics' contents, the number of events for each system, and the events themselves."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Literal

from rapport.domain.events import make_message_key

if TYPE_CHECKING:
    from collections.abc import Iterator

TENANT: Final = "bench"
PARTITIONS: Final = 4
CUSTOMERS: Final = 200_000
ZIPF_EXPONENT: Final = 1.3
OFFERS: Final = 20
CHANNELS: Final = ("web", "mobile", "email")
CREATIVES_PER_OFFER: Final = len(CHANNELS)
"""A creative is made for one channel."""
SPREAD_MS: Final = 36 * 3_600_000
"""Events lie in the last day and a half: a batch touches two or three calendar days, as with late events."""
OUTCOMES: Final = ("impression", "click", "dismiss", "convert")
OUTCOME_WEIGHTS: Final = (0.86, 0.09, 0.03, 0.02)
SEED: Final = 7

Skew = Literal["skewed", "uniform"]
SystemName = Literal["rapport", "textbook", "quix", "bare"]
SYSTEMS: Final[tuple[SystemName, ...]] = ("rapport", "textbook", "quix", "bare")
KAFKA_ONLY: Final[frozenset[SystemName]] = frozenset(["quix"])
"""Systems that need Apache Kafka itself."""
VISIBLE: Final = "visible-5000"
LAG: Final = "lag-5000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One topic's contents.

    Attributes:
        events_per_message: 1 for a JSON object a message, more for arrays of that length.
        events: Number of events in the topic.
        textbook_events: Number of events after which the textbook app is stopped; it would take minutes for all.
        systems: The systems measured on it.
    """

    name: str
    skew: Skew
    events_per_message: int
    events: int
    textbook_events: int
    customers: int = CUSTOMERS
    systems: tuple[SystemName, ...] = SYSTEMS

    @property
    def messages(self) -> int:
        """Number of messages in the topic."""
        return self.events // self.events_per_message


def list_workloads(*, quick: bool) -> list[Workload]:
    """List the measured workloads, in order; the last tells whether memory depends on the number of customers.

    Args:
        quick: A tenth of the events, the peers on half of the workloads, and not the last.
    """
    scale = 10 if quick else 1
    textbook_single, textbook_batch = 15_000 // scale, 40_000 // scale

    def make(name: str, skew: Skew, per_message: int, events: int, customers: int = CUSTOMERS) -> Workload:
        return Workload(
            name=name,
            skew=skew,
            events_per_message=per_message,
            events=events // scale,
            textbook_events=textbook_single if per_message == 1 else textbook_batch,
            customers=customers,
            systems=SYSTEMS if customers == CUSTOMERS and not (quick and skew == "uniform") else ("rapport",),
        )

    workloads = [
        make("single-skewed", "skewed", 1, 300_000),
        make("single-uniform", "uniform", 1, 300_000),
        make("batch100-skewed", "skewed", 100, 1_000_000),
        make("batch100-uniform", "uniform", 100, 600_000),
        make("single-uniform-20k-customers", "uniform", 1, 300_000, 20_000),
    ]
    return workloads[:-1] if quick else workloads


@dataclass(frozen=True, slots=True)
class Message:
    """A Kafka message of a workload."""

    partition: int
    key: bytes
    value: bytes


def make_messages(workload: Workload) -> Iterator[Message]:
    """Make a workload's messages, the same for every run but for the times.

    A customer's events are all in one partition. An array message holds events of several customers of its partition
    and carries the key of the first: producers that batch do so per partition.
    """
    events = make_events(workload)
    size = workload.events_per_message
    if size == 1:
        for customer, text in events:
            yield Message(customer % PARTITIONS, make_message_key(TENANT, name_customer(customer)), text.encode())
        return
    waiting: list[list[tuple[int, str]]] = [[] for _ in range(PARTITIONS)]
    left = workload.messages
    while left:
        customer, text = next(events)
        partition = customer % PARTITIONS
        waiting[partition].append((customer, text))
        if len(waiting[partition]) == size:
            batch, waiting[partition] = waiting[partition], []
            value = f"[{','.join(text for _, text in batch)}]".encode()
            yield Message(partition, make_message_key(TENANT, name_customer(batch[0][0])), value)
            left -= 1


def make_events(workload: Workload) -> Iterator[tuple[int, str]]:
    """Make (customer, JSON text) pairs: ``events`` of them for single messages, without end for arrays."""
    rng = random.Random(SEED)
    now_ms = int(time.time() * 1000)
    numbers = range(workload.customers)
    weights = list(accumulate((k + 1) ** -ZIPF_EXPONENT for k in numbers)) if workload.skew == "skewed" else None
    left = workload.events
    while left > 0 or workload.events_per_message > 1:
        count = 10_000 if workload.events_per_message > 1 else min(left, 10_000)
        customers = rng.choices(numbers, cum_weights=weights, k=count)
        outcomes = rng.choices(OUTCOMES, OUTCOME_WEIGHTS, k=count)
        for customer, outcome in zip(customers, outcomes, strict=True):
            yield customer, format_event(rng, customer, outcome, now_ms - int(rng.random() * SPREAD_MS))
        left -= count


def format_event(rng: random.Random, customer: int, outcome: str, occurred_at_ms: int) -> str:
    """Format one event as a producer would."""
    pick = int(rng.random() * OFFERS * CREATIVES_PER_OFFER)
    offer, creative = divmod(pick, CREATIVES_PER_OFFER)
    channel = CHANNELS[creative]
    seconds, millis = divmod(occurred_at_ms, 1000)
    at = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"
    value = f',"conversionValue":{rng.randrange(100, 50_000) / 100}' if outcome == "convert" else ""
    return (
        f'{{"tenantId":"{TENANT}","customerId":"{name_customer(customer)}","outcome":"{outcome}",'
        f'"idempotencyKey":"{rng.getrandbits(128):032x}","offerId":"offer-{offer:02d}",'
        f'"creativeId":"creative-{offer:02d}-{creative}","channelId":"{channel}","timestamp":"{at}"{value}}}'
    )


def name_customer(number: int) -> str:
    """Return a customer's id."""
    return f"customer-{number:06d}"
