"""Erasure of customers' summary rows, and their recomputation from the remaining history, while workers run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import polars as pl

from rapport.storage.personal_data import SUMMARIES, ErasureScope
from rapport.storage.reconcile import find_drift
from rapport.storage.stream import read_progress

if TYPE_CHECKING:
    from rapport.storage.client import Store

_END: Final = 1 << 62
"""Greater than every offset."""
ROUNDS: Final = 8
PAUSE_S: Final = 0.5


def rewrite_summaries(store: Store, erased: ErasureScope, *, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Delete the summary rows of customers whose history has been erased, and recompute those of the remaining history.

    A batch that has written its summaries but not yet its progress has rows that are deleted here and not recomputed,
    as the progress does not cover them: then history and summaries differ until the progress is written.

    Returns:
        Whether they agree in the end. If not, messages wait that no worker applies; the worker that applies them
        computes the rows from the history.
    """
    for _ in range(ROUNDS):
        store.command("privacy/delete", {**erased.hash_parameters, "table": SUMMARIES, "column": "customer_id"})
        sources = [row["source"] for row in store.rows("privacy/sources", erased.parameters)]
        for source, next_offset in (read_progress(store, sources) if sources else {}).items():
            store.command("privacy/recompute", {**erased.parameters, "source": source, "next_offset": next_offset})
        if not has_drift(store, erased, sources):
            return True
        sleep(PAUSE_S)
    return False


def has_drift(store: Store, erased: ErasureScope, sources: list[str]) -> bool:
    """Return whether the whole history and the summaries of the customers differ."""
    if not sources:
        return False
    progress = pl.DataFrame({"source": sources, "next_offset": [_END] * len(sources)}).cast({"next_offset": pl.UInt64})
    return not find_drift(store, erased.frame, progress).is_empty()
