"""Sources and event ids. A source is one partition's log in one generation of a cluster's topic."""

from __future__ import annotations

from dataclasses import dataclass

from xxhash import xxh3_64_hexdigest


@dataclass(frozen=True, slots=True)
class Source:
    """Log of a partition.

    Attributes:
        name: ``cluster/topic/partition``, with ``~generation`` after the topic once it was recreated.
        tag: Nine hexadecimal digits of the name's hash; part of event ids.
    """

    cluster_id: str
    topic: str
    partition: int
    name: str
    tag: str


def name_source(cluster_id: str, topic: str, partition: int, generation: int) -> Source:
    """Name the log of a partition in a topic that was recreated ``generation`` times."""
    generated = topic if generation == 0 else f"{topic}~{generation}"
    name = f"{cluster_id}/{generated}/{partition}"
    return Source(cluster_id, topic, partition, name, xxh3_64_hexdigest(name.encode())[:9])


def make_event_id(occurred_at_ms: int, source: Source, offset: int, item: int) -> str:
    """Make a 38-digit hexadecimal id that sorts by event time and is the same in every replay of the log."""
    return f"{occurred_at_ms:012x}{source.tag}{offset:012x}{item:05x}"
