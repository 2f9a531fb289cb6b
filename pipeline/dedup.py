"""Lets every idempotency key of a batch count once; the rules are in ``rapport.domain.claims``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import polars as pl

from rapport.domain.claims import Claim, ClaimDecision, decide

KEY: Final = ("tenant_id", "customer_id", "key_hash")
_PLACES: Final = ("tenant_id", "customer_id", "source", "offset")
Place = tuple[str, int, int]
"""Source, offset and item of an event."""
Conflict = tuple[str, str, int, int]
"""Tenant, source, offset and item of an event."""


@dataclass(slots=True)
class Resolution:
    """What becomes of a batch's events.

    Attributes:
        accepted: The events that count.
        duplicates: How many were repetitions.
        conflicts: Events that reuse a key with another payload.
        yielded: Events that stood back for another source; their claims say so from now on.
        waiting: The first offset, per source, whose event must wait for another source's decision. Nothing from there
            on is in ``accepted``: the partition is read again from that offset.
    """

    accepted: pl.DataFrame
    duplicates: int = 0
    conflicts: list[Conflict] = field(default_factory=list)
    yielded: pl.DataFrame = field(default_factory=pl.DataFrame)
    waiting: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Others:
    """What the store knows of other claims of a batch's keys.

    Attributes:
        claims: As ``storage.stream.read_claims`` returns them.
        read_again: Reads all claims of some events' keys anew, the events' own included.
        progress: ``next_offset`` of some sources.
        accepted: Which of some events are in the history.
    """

    claims: pl.DataFrame
    read_again: Callable[[pl.DataFrame], pl.DataFrame]
    progress: Callable[[Iterable[str]], Mapping[str, int]]
    accepted: Callable[[pl.DataFrame], set[Place]]


@dataclass(frozen=True, slots=True)
class _Known:
    """The claims of disputed keys as they were when it was decided; progress by source, and who has been accepted."""

    claims: pl.DataFrame
    progress: Mapping[str, int]
    accepted: set[Place]


def resolve(events: pl.DataFrame, others: Others, *, horizon_ms: int, claim_timeout_s: float) -> Resolution:
    """Decide which events of a batch count. The batch's own claims must have been written before the others were read.

    Args:
        events: Decoded interactions in the order of each source's log.
        others: Read from the store after the claims were written.
        horizon_ms: Repetitions further apart than this, by broker time, count again.
        claim_timeout_s: After this long an undecided claim of another source is taken for abandoned.
    """
    disputed = _disputed(events, others.claims)
    if disputed.is_empty():
        return Resolution(events)
    known = _look_again(disputed, others)
    verdicts = _decide_all(disputed, known, horizon_ms, claim_timeout_s)
    waiting: dict[str, int] = {}
    for (source, offset, _), verdict in verdicts.items():
        if verdict is ClaimDecision.WAIT:
            waiting[source] = min(offset, waiting.get(source, offset))
    kept = _before(events, waiting)
    judged = pl.DataFrame(
        [(*place, verdict.value) for place, verdict in verdicts.items()],
        schema={"source": pl.String, "offset": pl.UInt64, "item": pl.UInt32, "verdict": pl.String},
        orient="row",
    )
    kept = kept.join(judged, on=["source", "offset", "item"], how="left", maintain_order="left")
    judgement = pl.col("verdict").fill_null(ClaimDecision.ACCEPT.value)
    stood_back = kept.filter(judgement.is_in([ClaimDecision.DUPLICATE.value, ClaimDecision.CONFLICT.value])).drop(
        "verdict"
    )
    conflicts = kept.filter(judgement == ClaimDecision.CONFLICT.value).select("tenant_id", "source", "offset", "item")
    return Resolution(
        accepted=kept.filter(judgement == ClaimDecision.ACCEPT.value).drop("verdict"),
        duplicates=stood_back.height - conflicts.height,
        conflicts=list(conflicts.iter_rows()),
        yielded=_with_foreign_claims(stood_back, disputed, known.claims),
        waiting=waiting,
    )


def _disputed(events: pl.DataFrame, claims: pl.DataFrame) -> pl.DataFrame:
    """The events whose key occurs twice in the batch, or is claimed by someone else."""
    is_disputed = pl.struct(KEY).is_duplicated()
    if claims.is_empty():
        return events.filter(is_disputed)
    claimed = claims.select(KEY).unique().with_columns(is_claimed=pl.lit(value=True))
    marked = events.join(claimed, on=KEY, how="left", maintain_order="left")
    return marked.filter(is_disputed | pl.col("is_claimed")).drop("is_claimed")


def _decide_all(
    disputed: pl.DataFrame, known: _Known, horizon_ms: int, claim_timeout_s: float
) -> dict[Place, ClaimDecision]:
    by_key: dict[tuple[Any, ...], list[tuple[Claim, int]]] = defaultdict(list)
    found = _claims_by_key(known, claim_timeout_s)
    columns = (*KEY, "source", "offset", "item", "payload_hash", "text_hash", "received_at_ms")
    for row in disputed.select(columns).iter_rows():
        source, offset, item, payload_hash, text_hash, received_at_ms = row[3:]
        is_accepted = (source, offset, item) in known.accepted
        claim = Claim(source, offset, item, payload_hash, text_hash, is_accepted=is_accepted)
        by_key[row[:3]].append((claim, received_at_ms))
    verdicts: dict[Place, ClaimDecision] = {}
    for key, own in by_key.items():
        verdicts |= _decide_key(own, found.get(key, []), horizon_ms)
    return verdicts


def _decide_key(
    own: list[tuple[Claim, int]], found: list[tuple[Claim, int]], horizon_ms: int
) -> dict[Place, ClaimDecision]:
    """Decide the events of one key: higher sources first, because lower ones wait for them."""
    had_yielded = {_place(claim) for claim, _ in found if claim.has_yielded}
    own = [(replace(c, has_yielded=True) if _place(c) in had_yielded else c, at) for c, at in own]
    places = {_place(claim) for claim, _ in own}
    known = [*(pair for pair in found if _place(pair[0]) not in places), *own]
    verdicts: dict[Place, ClaimDecision] = {}
    order = sorted(own, key=lambda pair: (pair[0].offset, pair[0].item))
    order.sort(key=lambda pair: pair[0].source, reverse=True)
    for claim, received_at_ms in order:
        rivals = [c for c, at in known if _place(c) != _place(claim) and abs(at - received_at_ms) <= horizon_ms]
        verdict = decide(claim, rivals)
        verdicts[_place(claim)] = verdict
        if verdict in (ClaimDecision.DUPLICATE, ClaimDecision.CONFLICT):
            known = [(replace(c, has_yielded=True) if _place(c) == _place(claim) else c, at) for c, at in known]
    return verdicts


def _look_again(disputed: pl.DataFrame, others: Others) -> _Known:
    """What decides. Who yields to a claim found here must say so, even if it was not there at the first reading.

    Where several sources are involved the order of the reads matters: progress, then claims, then acceptances. A source
    that yields and moves on in between is then seen to have yielded.
    """
    claims = others.claims
    sources = set(disputed["source"].unique()) | (set(claims["source"].unique()) if claims.width else set())
    progress: Mapping[str, int] = {}
    accepted: set[Place] = set()
    if len(sources) > 1:
        progress = others.progress(sources)
        claims = others.read_again(disputed)
        places = [disputed.select(_PLACES), *([claims.select(_PLACES)] if claims.width else [])]
        accepted = others.accepted(pl.concat(places))
    return _Known(claims, progress, accepted)


def _claims_by_key(known: _Known, claim_timeout_s: float) -> Mapping[tuple[Any, ...], list[tuple[Claim, int]]]:
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


def _before(events: pl.DataFrame, waiting: Mapping[str, int]) -> pl.DataFrame:
    for source, offset in waiting.items():
        events = events.filter((pl.col("source") != source) | (pl.col("offset") < offset))
    return events


def _with_foreign_claims(stood_back: pl.DataFrame, disputed: pl.DataFrame, claims: pl.DataFrame) -> pl.DataFrame:
    """Of the events that do not count, those whose key another source claims too."""
    claimed = [disputed.select(*KEY, "source")]
    if not claims.is_empty():
        claimed.append(claims.select(*KEY, "source"))
    by_key = pl.concat(claimed).group_by(KEY).agg(pl.col("source").n_unique().alias("sources"))
    return stood_back.join(by_key.filter(pl.col("sources") > 1), on=KEY, how="semi")


def _place(claim: Claim) -> Place:
    return claim.source, claim.offset, claim.item
