"""Erased customers and customers about whom nothing may be collected, as a worker knows them.

The invariant: what a worker writes was decided with tombstones that were read at most :data:`MAX_AGE_S` before the
write began. So an erasure that waits that long after its tombstone, and then deletes, deletes everything that was
written without knowing of it; what is written later knows. A worker that was suspended in between looks again before it
writes (:meth:`Privacy.check`) and, if somebody in its batch was erased meanwhile, reads the batch again.

Summary rows need more, because a batch adds to rows that it has read. A row that was read before the deletion and
written after it would bring back what was erased. So of a customer whose erasure is not complete, or was complete only
a moment ago, the state is worked out from the history, after the batch before has been written
(:meth:`Privacy.unsettled`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import polars as pl

from rapport.domain.addresses import fold_address
from rapport.domain.privacy import Tombstone, find_named_customers, list_hashes, strip_attributes, strip_free_form

if TYPE_CHECKING:
    from pipeline.decode import Decoded
    from rapport.metrics import StreamMetrics
    from rapport.storage.stream import DeadLetter
    from rapport.storage.tombstones import StoredTombstone

MAX_AGE_S: Final = 1.0
"""How old tombstones may be when something is written; an erasure waits longer (``rapport.storage.erasure``)."""
SETTLES_MS: Final = 3_600_000
"""For so long after an erasure is complete a batch may still hold rows that were read before it."""
_CUSTOMER: Final = ("tenant_id", "customer_id")
_ERASED_SCHEMA: Final = {"tenant_id": pl.String, "customer_id": pl.String, "erased_at_ms": pl.Int64}
_SINCE_SCHEMA: Final = {"tenant_id": pl.String, "customer_id": pl.String, "since_ms": pl.Int64}
_FREE_FORM_COLUMNS: Final = ("context", "outcome_details", "metadata")
_IS_COLLECTED: Final = (pl.col("received_at_ms") < pl.col("since_ms")).fill_null(value=True)

Customer = tuple[str, str]
"""Tenant and customer."""


class OutdatedBatchError(Exception):
    """Somebody in the batch was erased after it was decoded: it must be read again, and deleted if it was written."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What was known at one moment; never changed, so that two batches may read it at the same time.

    Attributes:
        loaded_at: When reading the tombstones began, by the monotonic clock.
        collected_at: When reading the others began, likewise.
        revision: Ascends whenever something is new.
        newest_ms: When the newest tombstone was stored.
        tombstones: By hash.
        tenants: Those with tombstones, and with customers about whom nothing may be collected.
        uncollected: Since when, in epoch milliseconds by the broker's clock.
    """

    loaded_at: float = -float("inf")
    collected_at: float = -float("inf")
    revision: int = 0
    newest_ms: int = 0
    tombstones: Mapping[str, Tombstone] = field(default_factory=dict)
    tenants: frozenset[str] = frozenset()
    uncollected: Mapping[Customer, int] = field(default_factory=dict)

    def tombstone(self, customer: Customer) -> Tombstone | None:
        found = [one for name in list_hashes(*customer) if (one := self.tombstones.get(name)) is not None]
        return max(found, key=lambda one: one.erased_at_ms, default=None)

    def erased_at_ms(self, customer: Customer) -> int | None:
        tombstone = self.tombstone(customer)
        return tombstone.erased_at_ms if tombstone else None

    def uncollected_since_ms(self, customer: Customer) -> int | None:
        return self.uncollected.get((customer[0], fold_address(customer[1])))


class Privacy:
    """Keeps out of the tables what must not be there.

    Args:
        load_tombstones: Those written since a time, epoch milliseconds.
        load_uncollected: Everybody about whom nothing may be collected, and since when.
        refresh_s: How often is looked about whom nothing may be collected, and tombstones, if that is sooner.
        metrics: Counts what was left out.
    """

    def __init__(
        self,
        load_tombstones: Callable[[int], Sequence[StoredTombstone]],
        load_uncollected: Callable[[], Mapping[Customer, int]],
        metrics: StreamMetrics,
        *,
        refresh_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load_tombstones = load_tombstones
        self._load_uncollected = load_uncollected
        self._metrics = metrics
        self._refresh_s = refresh_s
        self._monotonic = monotonic
        self._loading = threading.Lock()
        self._known = _Known()

    def refresh(self) -> None:
        """Read again what is too old."""
        with self._loading:
            before, now = self._known, self._monotonic()
            if now - before.loaded_at < min(self._refresh_s, MAX_AGE_S):
                return
            found = self._load_tombstones(before.newest_ms)
            uncollected, collected_at = before.uncollected, before.collected_at
            if now - collected_at >= self._refresh_s:
                uncollected, collected_at = self._load_uncollected(), now
            is_new = uncollected != before.uncollected or any(
                before.tombstones.get(one.customer_hash) != one.tombstone for one in found
            )
            if not is_new:
                self._known = replace(before, loaded_at=now, collected_at=collected_at)
                return
            self._known = _Known(
                loaded_at=now,
                collected_at=collected_at,
                revision=before.revision + 1,
                newest_ms=max((one.stored_at_ms for one in found), default=before.newest_ms),
                tombstones={**before.tombstones, **{one.customer_hash: one.tombstone for one in found}},
                tenants=before.tenants | {one.tenant_id for one in found} | {tenant for tenant, _ in uncollected},
                uncollected=uncollected,
            )

    def keep_out(self, decoded: Decoded) -> tuple[Decoded, int]:
        """Leave out what erased customers did, and what else says something about customers who do not want it.

        Returns:
            What is left, and the revision of what was known, for :meth:`check`.
        """
        self.refresh()
        known = self._known
        if not (known.tombstones or known.uncollected):
            return decoded, known.revision
        kept = replace(
            decoded,
            events=_without_free_form(_leave_out(decoded.events, known), known),
            decisions=_without_attributes(_leave_out(decoded.decisions, known), known),
            dead_letters=_letters(decoded.dead_letters, known),
        )
        self._metrics.erased.inc(
            (decoded.events.height - kept.events.height)
            + (decoded.decisions.height - kept.decisions.height)
            + (len(decoded.dead_letters) - len(kept.dead_letters))
        )
        return kept, known.revision

    def check(self, decoded: Decoded, revision: int) -> None:
        """See that a batch may be written as it was decoded; looks again if what is known is too old to write by.

        Raises:
            OutdatedBatchError: It may not.
        """
        self.refresh()
        known = self._known
        if known.revision == revision:
            return
        if (
            _leave_out(decoded.events, known).height < decoded.events.height
            or _leave_out(decoded.decisions, known).height < decoded.decisions.height
            or not _without_free_form(decoded.events, known).equals(decoded.events)
            or not _without_attributes(decoded.decisions, known).equals(decoded.decisions)
            or _letters(decoded.dead_letters, known) != decoded.dead_letters
        ):
            raise OutdatedBatchError

    def leave_out(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Leave out what the broker received of erased customers up to their erasure.

        Args:
            rows: With columns tenant_id, customer_id and received_at_ms.
        """
        return _leave_out(rows, self._known)

    def letters(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Leave out letters that name an erased customer, and shorten those about customers who do not want it."""
        return _letters(letters, self._known)

    def unsettled(self, rows: pl.DataFrame, since_ms: int) -> pl.DataFrame:
        """Find the erased customers among some rows whose summary rows are not to be trusted yet.

        Args:
            rows: With columns tenant_id and customer_id.
            since_ms: When the batch was begun, epoch milliseconds.

        Returns:
            tenant_id, customer_id, erased_at_ms.
        """
        known = self._known
        found: list[tuple[str, str, int]] = []
        for tenant_id, customer_id in _customers(rows) if known.tombstones else ():
            tombstone = known.tombstone((tenant_id, customer_id))
            if tombstone and (tombstone.completed_at_ms is None or tombstone.completed_at_ms > since_ms - SETTLES_MS):
                found.append((tenant_id, customer_id, tombstone.erased_at_ms))
        return pl.DataFrame(found, schema=_ERASED_SCHEMA, orient="row")


def _leave_out(rows: pl.DataFrame, known: _Known) -> pl.DataFrame:
    if not known.tombstones or rows.is_empty():
        return rows
    erased = [(*one, at) for one in _customers(rows) if (at := known.erased_at_ms(one)) is not None]
    if not erased:
        return rows
    marked = rows.join(
        pl.DataFrame(erased, schema=_ERASED_SCHEMA, orient="row"), on=_CUSTOMER, how="left", maintain_order="left"
    )
    counts = (pl.col("received_at_ms") > pl.col("erased_at_ms")).fill_null(value=True)
    return marked.filter(counts).drop("erased_at_ms")


def _letters(letters: Sequence[DeadLetter], known: _Known) -> list[DeadLetter]:
    kept: list[DeadLetter] = []
    for letter in letters:
        named = set(find_named_customers(letter.key, letter.value, known.tenants)) if known.tenants else ()
        if any((at := known.erased_at_ms(one)) is not None and letter.received_at_ms <= at for one in named):
            continue
        since = [at for one in named if (at := known.uncollected_since_ms(one)) is not None]
        is_short = any(letter.received_at_ms >= at for at in since)
        kept.append(replace(letter, value=strip_free_form(letter.value)) if is_short else letter)
    return kept


def _customers(rows: pl.DataFrame) -> list[Customer]:
    return list(rows.select(_CUSTOMER).unique().iter_rows()) if rows.width else []


def _without_free_form(events: pl.DataFrame, known: _Known) -> pl.DataFrame:
    """Empty the free-form fields of events of customers about whom nothing may be collected."""
    empty = [pl.when(_IS_COLLECTED).then(pl.col(name)).otherwise(pl.lit("")).alias(name) for name in _FREE_FORM_COLUMNS]
    return _changed_for_uncollected(events, known, *empty)


def _without_attributes(decisions: pl.DataFrame, known: _Known) -> pl.DataFrame:
    """Take out of decisions what they say about customers about whom nothing may be collected."""
    text = pl.col("decision")
    bare = text.map_elements(strip_attributes, return_dtype=pl.String)
    return _changed_for_uncollected(
        decisions, known, pl.when(_IS_COLLECTED).then(text).otherwise(bare).alias("decision")
    )


def _changed_for_uncollected(rows: pl.DataFrame, known: _Known, *changes: pl.Expr) -> pl.DataFrame:
    customers = _customers(rows) if known.uncollected else []
    since = [(*one, at) for one in customers if (at := known.uncollected_since_ms(one)) is not None]
    if not since:
        return rows
    frame = pl.DataFrame(since, schema=_SINCE_SCHEMA, orient="row")
    marked = rows.join(frame, on=_CUSTOMER, how="left", maintain_order="left")
    return marked.with_columns(*changes).drop("since_ms")
