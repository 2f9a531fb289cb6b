"""Erased customers, and customers about whom nothing may be collected, as a worker filters them out of batches.

The invariant: every row that a worker writes was decided with tombstones that were read at most :data:`MAX_AGE_S`
before the write began. So an erasure that waits that long after its tombstone, and then deletes, deletes every row that
was written without regard to the tombstone; rows written later regard it. A worker that was suspended in between reads
the tombstones again before it writes (:meth:`PrivacyFilter.check`) and, if a customer of its batch was erased
meanwhile, reads the batch again.

Summary rows need more, because a batch adds to what the open blocks count. What was counted before the deletion and
written after it would bring erased events back. So for a customer whose erasure is not complete, or was completed less
than :data:`SETTLES_MS` ago, it is counted from the history, after the batch before has been written
(:meth:`PrivacyFilter.find_unsettled`).
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
    from pipeline.decode import DecodedBatch
    from rapport.metrics import StreamMetrics
    from rapport.storage.stream import DeadLetter
    from rapport.storage.tombstones import StoredTombstone

MAX_AGE_S: Final = 1.0
"""Highest age of tombstones at a write; an erasure waits longer (``rapport.storage.erasure``)."""
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
    """Batch with a customer who was erased after decoding: it must be read again, and deleted if it was written."""


@dataclass(frozen=True, slots=True)
class _PrivacySnapshot:
    """Tombstones and objections to collection as of one moment; immutable, because two batches may read it at a time.

    Attributes:
        loaded_at: Time at which reading the tombstones began, by the monotonic clock.
        collected_at: Time at which reading the uncollected customers began, likewise.
        revision: Ascends with every change.
        newest_ms: Time at which the newest tombstone was stored.
        tombstones: Tombstones by customer hash.
        tenants: Tenants with tombstones or with uncollected customers.
        uncollected: Customers about whom nothing may be collected, and since when, in epoch milliseconds by the
            broker's clock.
    """

    loaded_at: float = -float("inf")
    collected_at: float = -float("inf")
    revision: int = 0
    newest_ms: int = 0
    tombstones: Mapping[str, Tombstone] = field(default_factory=dict)
    tenants: frozenset[str] = frozenset()
    uncollected: Mapping[Customer, int] = field(default_factory=dict)

    def find_tombstone(self, customer: Customer) -> Tombstone | None:
        hits = [hit for name in list_hashes(*customer) if (hit := self.tombstones.get(name)) is not None]
        return max(hits, key=lambda tombstone: tombstone.erased_at_ms, default=None)

    def erased_at_ms(self, customer: Customer) -> int | None:
        tombstone = self.find_tombstone(customer)
        return tombstone.erased_at_ms if tombstone else None

    def uncollected_since_ms(self, customer: Customer) -> int | None:
        return self.uncollected.get((customer[0], fold_address(customer[1])))


class PrivacyFilter:
    """Filter that keeps erased customers, and data that must not be collected, out of the tables.

    Args:
        load_tombstones: Loads the tombstones written since a time, epoch milliseconds.
        load_uncollected: Loads the customers about whom nothing may be collected, and since when.
        metrics: Counts the rows that were left out.
        refresh_s: Highest age of the uncollected customers, and of the tombstones if it is below :data:`MAX_AGE_S`.
        monotonic: The clock.
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
        self._known = _PrivacySnapshot()

    @property
    def revision(self) -> int:
        """Revision of the tombstones and objections known; ascends with every change."""
        return self._known.revision

    def refresh(self) -> None:
        """Load tombstones and uncollected customers again if they are too old."""
        with self._loading:
            before, now = self._known, self._monotonic()
            if now - before.loaded_at < min(self._refresh_s, MAX_AGE_S):
                return
            stored = self._load_tombstones(before.newest_ms)
            uncollected, collected_at = before.uncollected, before.collected_at
            if now - collected_at >= self._refresh_s:
                uncollected, collected_at = self._load_uncollected(), now
            is_new = uncollected != before.uncollected or any(
                before.tombstones.get(row.customer_hash) != row.tombstone for row in stored
            )
            if not is_new:
                self._known = replace(before, loaded_at=now, collected_at=collected_at)
                return
            self._known = _PrivacySnapshot(
                loaded_at=now,
                collected_at=collected_at,
                revision=before.revision + 1,
                newest_ms=max((row.stored_at_ms for row in stored), default=before.newest_ms),
                tombstones={**before.tombstones, **{row.customer_hash: row.tombstone for row in stored}},
                tenants=before.tenants | {row.tenant_id for row in stored} | {tenant for tenant, _ in uncollected},
                uncollected=uncollected,
            )

    def filter_batch(self, decoded: DecodedBatch) -> tuple[DecodedBatch, int]:
        """Drop the rows of erased customers, and free-form data about customers who do not want it collected.

        Returns:
            The remaining batch, and the revision it was filtered with, for :meth:`check`.
        """
        self.refresh()
        known = self._known
        if not (known.tombstones or known.uncollected):
            return decoded, known.revision
        kept = replace(
            decoded,
            events=_strip_free_form(_drop_erased(decoded.events, known), known),
            decisions=_strip_attributes(_drop_erased(decoded.decisions, known), known),
            dead_letters=_filter_letters(decoded.dead_letters, known),
        )
        self._metrics.erased.inc(
            (decoded.events.height - kept.events.height)
            + (decoded.decisions.height - kept.decisions.height)
            + (len(decoded.dead_letters) - len(kept.dead_letters))
        )
        return kept, known.revision

    def check(self, decoded: DecodedBatch, revision: int) -> None:
        """Check that a batch may be written as it was decoded; refresh first.

        Raises:
            OutdatedBatchError: A newer tombstone or objection concerns the batch.
        """
        self.refresh()
        known = self._known
        if known.revision == revision:
            return
        if (
            _drop_erased(decoded.events, known).height < decoded.events.height
            or _drop_erased(decoded.decisions, known).height < decoded.decisions.height
            or not _strip_free_form(decoded.events, known).equals(decoded.events)
            or not _strip_attributes(decoded.decisions, known).equals(decoded.decisions)
            or _filter_letters(decoded.dead_letters, known) != decoded.dead_letters
        ):
            raise OutdatedBatchError

    def drop_erased(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Drop the rows that the broker received of erased customers up to their erasure.

        Args:
            rows: With columns tenant_id, customer_id and received_at_ms.
        """
        return _drop_erased(rows, self._known)

    def filter_letters(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Drop letters that name an erased customer; shorten those about customers who do not want data collected."""
        return _filter_letters(letters, self._known)

    def find_unsettled(self, rows: pl.DataFrame, since_ms: int) -> pl.DataFrame:
        """Find the erased customers among some rows whose summary rows may still hold erased events.

        Args:
            rows: With columns tenant_id and customer_id.
            since_ms: Start of the batch, epoch milliseconds.

        Returns:
            tenant_id, customer_id, erased_at_ms.
        """
        known = self._known
        unsettled: list[tuple[str, str, int]] = []
        for tenant_id, customer_id in _list_customers(rows) if known.tombstones else ():
            tombstone = known.find_tombstone((tenant_id, customer_id))
            if tombstone and (tombstone.completed_at_ms is None or tombstone.completed_at_ms > since_ms - SETTLES_MS):
                unsettled.append((tenant_id, customer_id, tombstone.erased_at_ms))
        return pl.DataFrame(unsettled, schema=_ERASED_SCHEMA, orient="row")


def _drop_erased(rows: pl.DataFrame, known: _PrivacySnapshot) -> pl.DataFrame:
    if not known.tombstones or rows.is_empty():
        return rows
    erased = [(*customer, at) for customer in _list_customers(rows) if (at := known.erased_at_ms(customer)) is not None]
    if not erased:
        return rows
    marked = rows.join(
        pl.DataFrame(erased, schema=_ERASED_SCHEMA, orient="row"), on=_CUSTOMER, how="left", maintain_order="left"
    )
    counts = (pl.col("received_at_ms") > pl.col("erased_at_ms")).fill_null(value=True)
    return marked.filter(counts).drop("erased_at_ms")


def _filter_letters(letters: Sequence[DeadLetter], known: _PrivacySnapshot) -> list[DeadLetter]:
    kept: list[DeadLetter] = []
    for letter in letters:
        named = set(find_named_customers(letter.key, letter.value, known.tenants)) if known.tenants else ()
        if any((at := known.erased_at_ms(name)) is not None and letter.received_at_ms <= at for name in named):
            continue
        since = [at for name in named if (at := known.uncollected_since_ms(name)) is not None]
        is_short = any(letter.received_at_ms >= at for at in since)
        kept.append(replace(letter, value=strip_free_form(letter.value)) if is_short else letter)
    return kept


def _list_customers(rows: pl.DataFrame) -> list[Customer]:
    return list(rows.select(_CUSTOMER).unique().iter_rows()) if rows.width else []


def _strip_free_form(events: pl.DataFrame, known: _PrivacySnapshot) -> pl.DataFrame:
    """Empty the free-form fields of events of customers about whom nothing may be collected."""
    empty = [pl.when(_IS_COLLECTED).then(pl.col(name)).otherwise(pl.lit("")).alias(name) for name in _FREE_FORM_COLUMNS]
    return _change_uncollected(events, known, *empty)


def _strip_attributes(decisions: pl.DataFrame, known: _PrivacySnapshot) -> pl.DataFrame:
    """Remove the attributes of customers about whom nothing may be collected from decisions."""
    text = pl.col("decision")
    bare = text.map_elements(strip_attributes, return_dtype=pl.String)
    return _change_uncollected(decisions, known, pl.when(_IS_COLLECTED).then(text).otherwise(bare).alias("decision"))


def _change_uncollected(rows: pl.DataFrame, known: _PrivacySnapshot, *changes: pl.Expr) -> pl.DataFrame:
    customers = _list_customers(rows) if known.uncollected else []
    since = [(*customer, at) for customer in customers if (at := known.uncollected_since_ms(customer)) is not None]
    if not since:
        return rows
    frame = pl.DataFrame(since, schema=_SINCE_SCHEMA, orient="row")
    marked = rows.join(frame, on=_CUSTOMER, how="left", maintain_order="left")
    return marked.with_columns(*changes).drop("since_ms")
