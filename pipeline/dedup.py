"""Deduplication: every idempotency key of a batch counts once; ``rapport.domain.claims`` has the rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import polars as pl

from rapport.domain.claims import Claim, ClaimDecision, decide

KEY: Final = ("tenant_id", "customer_id", "key_hash")
_POSITION_COLUMNS: Final = ("tenant_id", "customer_id", "source", "offset")
EventPosition = tuple[str, int, int]
"""Source, offset and item of an event."""
Conflict = tuple[str, str, int, int]
"""Tenant, source, offset and item of an event."""


@dataclass(slots=True)
class Resolution:
    """Decisions on the events of a batch.

    Attributes:
        accepted: The events that count.
        duplicates: Number of repetitions of an accepted event.
        conflicts: Events that reuse a key with another payload.
        losers: Events that lost their key to another source's claim, to be marked so in the claims.
        waiting: The first offset, per source, whose event must wait for another source's decision. Nothing from there
            on is in ``accepted``: the partition is read again from that offset.
    """

    accepted: pl.DataFrame
    duplicates: int = 0
    conflicts: list[Conflict] = field(default_factory=list)
    losers: pl.DataFrame = field(default_factory=pl.DataFrame)
    waiting: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredClaims:
    """Stored claims of a batch's keys, and the queries that a dispute between sources needs.

    Attributes:
        claims: As ``storage.stream.read_claims`` returns them.
        read_again: Reads all claims of some events' keys anew, the events' own included.
        progress: Reads the ``next_offset`` of some sources.
        accepted: Reads which of some events are in the history.
    """

    claims: pl.DataFrame
    read_again: Callable[[pl.DataFrame], pl.DataFrame]
    progress: Callable[[Iterable[str]], Mapping[str, int]]
    accepted: Callable[[pl.DataFrame], set[EventPosition]]


@dataclass(frozen=True, slots=True)
class _ClaimFacts:
    """Facts that decide disputed keys: their claims, the progress by source, and the events accepted so far."""

    claims: pl.DataFrame
    progress: Mapping[str, int]
    accepted: set[EventPosition]


def resolve(events: pl.DataFrame, others: StoredClaims, *, horizon_ms: int, claim_timeout_s: float) -> Resolution:
    """Decide which events of a batch count. The batch's own claims must have been written before the others were read.

    Args:
        events: Decoded interactions in the order of each source's log.
        others: Read from the store after the claims were written.
        horizon_ms: Repetitions further apart than this, by broker time, count again.
        claim_timeout_s: After this long an undecided claim of another source is taken for abandoned.
    """
    disputed = _select_disputed(events, others.claims)
    if disputed.is_empty():
        return Resolution(events)
    known = _read_claim_facts(disputed, others)
    verdicts = _decide_all(disputed, known, horizon_ms, claim_timeout_s)
    waiting: dict[str, int] = {}
    for (source, offset, _), outcome in verdicts.items():
        if outcome is ClaimDecision.WAIT:
            waiting[source] = min(offset, waiting.get(source, offset))
    kept = _select_before(events, waiting)
    verdict_rows = pl.DataFrame(
        [(*position, verdict.value) for position, verdict in verdicts.items()],
        schema={"source": pl.String, "offset": pl.UInt64, "item": pl.UInt32, "verdict": pl.String},
        orient="row",
    )
    kept = kept.join(verdict_rows, on=["source", "offset", "item"], how="left", maintain_order="left")
    verdict = pl.col("verdict").fill_null(ClaimDecision.ACCEPT.value)
    losers = kept.filter(verdict.is_in([ClaimDecision.DUPLICATE.value, ClaimDecision.CONFLICT.value])).drop("verdict")
    conflicts = kept.filter(verdict == ClaimDecision.CONFLICT.value).select("tenant_id", "source", "offset", "item")
    return Resolution(
        accepted=kept.filter(verdict == ClaimDecision.ACCEPT.value).drop("verdict"),
        duplicates=losers.height - conflicts.height,
        conflicts=list(conflicts.iter_rows()),
        losers=_select_foreign_claims(losers, disputed, known.claims),
        waiting=waiting,
    )


def _select_disputed(events: pl.DataFrame, claims: pl.DataFrame) -> pl.DataFrame:
    """Select the events whose key occurs twice in the batch, or is claimed by another event."""
    is_disputed = pl.struct(KEY).is_duplicated()
    if claims.is_empty():
        return events.filter(is_disputed)
    claimed = claims.select(KEY).unique().with_columns(is_claimed=pl.lit(value=True))
    marked = events.join(claimed, on=KEY, how="left", maintain_order="left")
    return marked.filter(is_disputed | pl.col("is_claimed")).drop("is_claimed")


def _decide_all(
    disputed: pl.DataFrame, known: _ClaimFacts, horizon_ms: int, claim_timeout_s: float
) -> dict[EventPosition, ClaimDecision]:
    by_key: dict[tuple[Any, ...], list[tuple[Claim, int]]] = defaultdict(list)
    found = _group_claims(known, claim_timeout_s)
    columns = (*KEY, "source", "offset", "item", "payload_hash", "text_hash", "received_at_ms")
    for row in disputed.select(columns).iter_rows():
        source, offset, item, payload_hash, text_hash, received_at_ms = row[3:]
        is_accepted = (source, offset, item) in known.accepted
        claim = Claim(source, offset, item, payload_hash, text_hash, is_accepted=is_accepted)
        by_key[row[:3]].append((claim, received_at_ms))
    verdicts: dict[EventPosition, ClaimDecision] = {}
    for key, own in by_key.items():
        verdicts |= _decide_key(own, found.get(key, []), horizon_ms)
    return verdicts


def _decide_key(
    own: list[tuple[Claim, int]], found: list[tuple[Claim, int]], horizon_ms: int
) -> dict[EventPosition, ClaimDecision]:
    """Decide the events of one key: higher sources first, because lower ones wait for them."""
    earlier_losers = {_position_of(claim) for claim, _ in found if claim.has_yielded}
    own = [(_mark_lost(c) if _position_of(c) in earlier_losers else c, at) for c, at in own]
    own_positions = {_position_of(claim) for claim, _ in own}
    known = [*(pair for pair in found if _position_of(pair[0]) not in own_positions), *own]
    verdicts: dict[EventPosition, ClaimDecision] = {}
    order = sorted(own, key=lambda pair: (pair[0].offset, pair[0].item))
    order.sort(key=lambda pair: pair[0].source, reverse=True)
    for claim, received_at_ms in order:
        position = _position_of(claim)
        rivals = [c for c, at in known if _position_of(c) != position and abs(at - received_at_ms) <= horizon_ms]
        verdict = verdicts[position] = decide(claim, rivals)
        if verdict in (ClaimDecision.DUPLICATE, ClaimDecision.CONFLICT):
            known = [(_mark_lost(c) if _position_of(c) == position else c, at) for c, at in known]
    return verdicts


def _read_claim_facts(disputed: pl.DataFrame, others: StoredClaims) -> _ClaimFacts:
    """Read the facts that decide, even if no other source's claim was there at the first reading.

    Where several sources are involved the order of the reads matters: progress, then claims, then acceptances. A source
    that loses a claim and advances in between is then seen to have lost it.
    """
    claims = others.claims
    sources = set(disputed["source"].unique()) | (set(claims["source"].unique()) if claims.width else set())
    progress: Mapping[str, int] = {}
    accepted: set[EventPosition] = set()
    if len(sources) > 1:
        progress = others.progress(sources)
        claims = others.read_again(disputed)
        positions = [disputed.select(_POSITION_COLUMNS), *([claims.select(_POSITION_COLUMNS)] if claims.width else [])]
        accepted = others.accepted(pl.concat(positions))
    return _ClaimFacts(claims, progress, accepted)


def _group_claims(known: _ClaimFacts, claim_timeout_s: float) -> Mapping[tuple[Any, ...], list[tuple[Claim, int]]]:
    by_key: dict[tuple[Any, ...], list[tuple[Claim, int]]] = defaultdict(list)
    if not known.claims.width:
        return by_key
    columns = (*KEY, "source", "offset", "item", "payload_hash", "received_at_ms", "has_yielded", "age_s")
    for row in known.claims.select(columns).iter_rows():
        source, offset, item, payload_hash, received_at_ms, yielded, age_s = row[3:]
        claim = Claim(
            source,
            offset,
            item,
            payload_hash,
            is_accepted=(source, offset, item) in known.accepted,
            is_settled=known.progress.get(source, 0) > offset,
            has_yielded=bool(yielded),
            is_abandoned=age_s > claim_timeout_s,
        )
        by_key[row[:3]].append((claim, received_at_ms))
    return by_key


def _select_before(events: pl.DataFrame, waiting: Mapping[str, int]) -> pl.DataFrame:
    for source, offset in waiting.items():
        events = events.filter((pl.col("source") != source) | (pl.col("offset") < offset))
    return events


def _select_foreign_claims(losers: pl.DataFrame, disputed: pl.DataFrame, claims: pl.DataFrame) -> pl.DataFrame:
    """Select the losing events whose key another source claims too."""
    claimed = [disputed.select(*KEY, "source")]
    if not claims.is_empty():
        claimed.append(claims.select(*KEY, "source"))
    by_key = pl.concat(claimed).group_by(KEY).agg(pl.col("source").n_unique().alias("sources"))
    return losers.join(by_key.filter(pl.col("sources") > 1), on=KEY, how="semi")


def _mark_lost(claim: Claim) -> Claim:
    return replace(claim, has_yielded=True)


def _position_of(claim: Claim) -> EventPosition:
    return claim.source, claim.offset, claim.item
