"""Generations of recreated topics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from rapport.storage.stream import read_generation

if TYPE_CHECKING:
    from rapport.storage.client import Store


def begin_generation(store: Store, cluster_id: str, topic: str, reason: str) -> int:
    """Record that a topic was recreated: its new log counts on top of the old one.

    Returns:
        The number of the new generation.
    """
    generation = read_generation(store, cluster_id, topic) + 1
    row = {"cluster_id": [cluster_id], "topic": [topic], "generation": [generation], "reason": [reason]}
    store.insert("stream_sources", pl.DataFrame(row, schema_overrides={"generation": pl.UInt32}))
    return generation
