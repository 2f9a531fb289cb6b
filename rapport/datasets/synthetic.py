"""Synthetic event stream from a seed, of any size and skew.

Event number ``i`` is a pure function of the specification and ``i``, with no generator state: a counter is hashed, so
any range of the stream can be generated alone, and no library's random numbers have to stay the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec
import polars as pl
from xxhash import xxh3_64_hexdigest

from rapport.application.imports.feeds import Message
from rapport.datasets.totals import Totals
from rapport.domain.periods import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAME_EVENTS: Final = 50_000
OUTCOME_SHARES: Final = {
    "impression": 0.80,
    "click": 0.11,
    "dismiss": 0.05,
    "accept": 0.015,
    "convert": 0.02,
    "not_interested": 0.005,
}
CHANNEL_SHARES: Final = {"web": 0.45, "email": 0.25, "push": 0.15, "sms": 0.10, "call-center": 0.05}
OFFERS: Final = 24
LATE_SHARE: Final = 0.02
MAX_LATE: Final = timedelta(days=2)
MAX_JITTER: Final = timedelta(minutes=1)

_GOLDEN: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1
_DRAWS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticSpec:
    """Specification of a synthetic stream.

    Attributes:
        events: Number of events.
        customers: Number of customers to choose from.
        skew: Exponent of the Zipf law by which they are chosen: 0 is uniform, 1.3 gives one customer a quarter of all.
        seed: Another seed is another stream.
        first_day: First day (UTC).
        days: Duration; a few events come up to two days late.
        tenant_id: Tenant of the events.
    """

    events: int = 100_000
    customers: int = 20_000
    skew: float = 1.1
    seed: int = 1
    first_day: date = date(2025, 6, 1)
    days: int = 30
    tenant_id: str = "demo"

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: One is out of range.
        """
        if self.events < 0 or self.customers < 1 or self.days < 1 or not 0 <= self.skew <= 10:
            raise ValueError("events from 0, customers and days from 1, skew between 0 and 10")


def generate_frames(spec: SyntheticSpec) -> Iterator[pl.DataFrame]:
    """Generate the stream, frame by frame.

    Columns: ``number``, ``customer_id``, ``outcome``, ``offer_id``, ``creative_id``, ``channel_id``, ``occurred_at_ms``
    and ``cents`` (null unless the outcome is ``convert``).
    """
    customers = _accumulate([rank**-spec.skew for rank in range(1, spec.customers + 1)])
    for first in range(0, spec.events, FRAME_EVENTS):
        until = min(first + FRAME_EVENTS, spec.events)
        yield _make_frame(spec, customers, pl.int_range(first, until, dtype=pl.UInt64, eager=True))


def generate_messages(spec: SyntheticSpec) -> Iterator[Message]:
    """Generate the stream as messages ready to send."""
    tenant = msgspec.json.encode(spec.tenant_id).decode()
    # equal keys would mean equal events, so whatever changes the events changes the keys
    stream = f"synthetic-{xxh3_64_hexdigest(repr(spec).encode())[:8]}"
    text = pl.concat_str(
        pl.lit(f'{{"tenantId":{tenant},"customerId":"'),
        "customer_id",
        pl.lit('","outcome":"'),
        "outcome",
        pl.lit(f'","idempotencyKey":"{stream}-'),
        "number",
        pl.lit('","offerId":"'),
        "offer_id",
        pl.lit('","creativeId":"'),
        "creative_id",
        pl.lit('","channelId":"'),
        "channel_id",
        pl.lit('","timestamp":'),
        "occurred_at_ms",
        pl.concat_str(
            pl.lit(',"conversionValue":'),
            pl.col("cents") // 100,
            pl.lit("."),
            (pl.col("cents") % 100).cast(pl.String).str.zfill(2),
        ).fill_null(""),
        pl.lit("}"),
    )
    key = pl.concat_str(pl.lit(f"{spec.tenant_id}:"), "customer_id")
    for frame in generate_frames(spec):
        encoded = frame.select(key.cast(pl.Binary).alias("key"), text.cast(pl.Binary).alias("value"))
        yield from map(Message, encoded["key"].to_list(), encoded["value"].to_list())


def compute_totals(spec: SyntheticSpec) -> Totals:
    """Compute the expected totals of the summaries."""
    cents = 0
    customers: set[str] = set()
    for frame in generate_frames(spec):
        cents += int(frame["cents"].sum())
        customers.update(frame["customer_id"].unique())
    return Totals(events=spec.events, customers=len(customers), total_value=Decimal(cents) / 100)


def _make_frame(spec: SyntheticSpec, customers: pl.Series, numbers: pl.Series) -> pl.DataFrame:
    draws = [_draw_uniform(numbers, spec.seed, draw) for draw in range(_DRAWS)]
    who = customers.search_sorted(draws[0], side="right").clip(upper_bound=spec.customers - 1)
    outcome = _choose(OUTCOME_SHARES, draws[1])
    offer = (draws[2] * draws[2] * OFFERS).cast(pl.UInt32).cast(pl.String).str.zfill(2)  # squared: some are shown more
    variant = pl.Series(["a", "b"]).gather((draws[4] * 2).cast(pl.UInt32))
    return pl.DataFrame(
        {
            "number": numbers,
            "customer_id": "customer-" + who.cast(pl.String).str.zfill(7),
            "outcome": outcome,
            "offer_id": "offer-" + offer,
            "creative_id": "offer-" + offer + "-" + variant,
            "channel_id": _choose(CHANNEL_SHARES, draws[3]),
            "occurred_at_ms": _draw_times(spec, numbers, draws[5], draws[6]),
            "cents": _draw_cents(draws[7]),
        }
    ).with_columns(pl.when(pl.col("outcome") == "convert").then("cents").alias("cents"))


def _draw_times(spec: SyntheticSpec, numbers: pl.Series, late: pl.Series, jitter: pl.Series) -> pl.Series:
    """Spread the events over the days, in order but for some jitter and some that come late."""
    start_ms = int(datetime.combine(spec.first_day, datetime.min.time(), UTC).timestamp() * 1000)
    span_ms = spec.days * DAY_MS
    on_time = start_ms + (numbers.cast(pl.Float64) * (span_ms / max(spec.events, 1))).cast(pl.Int64)
    limit_ms = pl.select(
        pl.when(pl.lit(late) < LATE_SHARE)
        .then(MAX_LATE / timedelta(milliseconds=1))
        .otherwise(MAX_JITTER / timedelta(milliseconds=1))
    ).to_series()
    return on_time - (jitter * limit_ms).cast(pl.Int64)


def _draw_cents(draw: pl.Series) -> pl.Series:
    """Draw an amount from 0.99 to about 500, most of them small."""
    return 99 + (draw**4 * 49_900).cast(pl.Int64)


def _choose(shares: dict[str, float], draw: pl.Series) -> pl.Series:
    indices = _accumulate(list(shares.values())).search_sorted(draw, side="right").clip(upper_bound=len(shares) - 1)
    return pl.Series(list(shares)).gather(indices)


def _accumulate(weights: list[float]) -> pl.Series:
    total = math.fsum(weights)
    return pl.Series(weights, dtype=pl.Float64).cum_sum() / total


def _draw_uniform(numbers: pl.Series, seed: int, draw: int) -> pl.Series:
    """Draw numbers in [0, 1): SplitMix64 (Steele, Lea and Flood 2014) of the event's number, wrapping at 64 bits."""
    offset = _mix_int(((seed * _DRAWS + draw) * _GOLDEN) & _MASK)
    state = pl.col("n") * _to_u64(_GOLDEN) + _to_u64(offset)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state // _to_u64(1 << shift))) * _to_u64(factor)
    state = state ^ (state // _to_u64(1 << 31))
    bits = (state // _to_u64(1 << 11)).cast(pl.Float64) * 2.0**-53
    return pl.DataFrame({"n": numbers}).select(bits).to_series()


def _mix_int(state: int) -> int:
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = ((state ^ (state >> shift)) * factor) & _MASK
    return state ^ (state >> 31)


def _to_u64(value: int) -> pl.Expr:
    return pl.lit(value, dtype=pl.UInt64)
