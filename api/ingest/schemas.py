"""Bulk ingest on the wire."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rapport.domain.faults import Fault


class IngestResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Result of recording events.

    Attributes:
        accepted: How many are in Kafka.
        rejected: How many cannot be used; ``errors`` says why, with the index of each.
        position: To be sent as ``X-Min-Position`` with a read that must include them.
    """

    accepted: int
    rejected: int
    position: str
    errors: Sequence[Fault]
