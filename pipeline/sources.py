"""Names of logs. A source is one partition's log in one generation of one topic of one cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xxhash import xxh3_64_hexdigest

if TYPE_CHECKING:
    from pipeline.batch import Partition


@dataclass(frozen=True, slots=True)
class Source:
    """A partition's log.

    Attributes:
        name: ``cluster/topic/partition``, with ``~generation`` after the topic once it was recreated.
        tag: Nine hexadecimal digits of the name's hash; part of event ids.
    """

    cluster_id: str
    topic: str
    partition: int
    name: str
    tag: str


def source_of(cluster_id: str, partition: Partition, generation: int) -> Source:
    """Name the log of a partition."""
    topic = partition.topic if generation == 0 else f"{partition.topic}~{generation}"
    name = f"{cluster_id}/{topic}/{partition.partition}"
    return Source(cluster_id, partition.topic, partition.partition, name, xxh3_64_hexdigest(name.encode())[:9])
