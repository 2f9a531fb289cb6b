"""Segments' members on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec

from api.http.bodies import Body


class RefreshedSegment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A refresh of a segment.

    Attributes:
        version: Of the segment, whose filters were applied.
    """

    id: str
    name: str
    version: int
    customer_count: int
    last_refreshed_at: str


class SegmentMember(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A customer who is in a segment."""

    customer_id: str
    member_since: str


class MemberPagination(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Position of a page of members.

    Attributes:
        total: Customers in the segment when it was last refreshed; null before the first time.
        next_cursor: To be sent as ``cursor``; null on the last page.
    """

    total: int | None
    limit: int
    has_more: bool
    next_cursor: str | None


class SegmentMembers(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of members, ordered by customer."""

    data: Sequence[SegmentMember]
    pagination: MemberPagination


class OverlapBody(Body, frozen=True):
    """Segments to be compared.

    Attributes:
        sample_size: Number of sampled customers.
    """

    EXAMPLE: ClassVar = {"segmentIds": ["seg_001", "seg_002"], "sampleSize": 5000}

    segment_ids: Annotated[Sequence[str], msgspec.Meta(min_length=2, max_length=10)]
    sample_size: Annotated[int, msgspec.Meta(ge=100, le=50_000)] = 5_000


class SegmentSize(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Number of sampled customers in a segment."""

    id: str
    name: str
    size: int


class SegmentOverlap(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Two segments that have customers in common.

    Attributes:
        count: Of the sampled customers.
        percent: Of the smaller of the two.
    """

    segments: Sequence[str]
    count: int
    percent: float


class OverlapReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Overlaps of segments.

    Attributes:
        total_unique_customers: In any of them, of the sample.
        overlap_warnings: Pairs that have more than 30 % of the smaller one in common, in words.
    """

    segments: Sequence[SegmentSize]
    overlaps: Sequence[SegmentOverlap]
    total_unique_customers: int
    overlap_warnings: Sequence[str]
