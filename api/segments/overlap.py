"""Overlaps of pairs of segments."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

from api.segments.schemas import OverlapReport, SegmentOverlap, SegmentSize

if TYPE_CHECKING:
    from collections.abc import Mapping

WARN_PERCENT: Final = 30.0


def report_overlap(names: Mapping[str, str], counts: Mapping[frozenset[str], int]) -> OverlapReport:
    """Report how segments overlap.

    Args:
        names: By id, of the segments that are compared, in the order in which they are listed.
        counts: Customers by exactly the segments they are in.
    """
    sizes = {one: sum(count for ids, count in counts.items() if one in ids) for one in names}
    overlaps = []
    for pair in combinations(names, 2):
        common = sum(count for ids, count in counts.items() if ids.issuperset(pair))
        if common:
            percent = round(100 * common / min(sizes[one] for one in pair), 2)
            overlaps.append(SegmentOverlap(segments=pair, count=common, percent=percent))
    return OverlapReport(
        segments=[SegmentSize(id=one, name=name, size=sizes[one]) for one, name in names.items()],
        overlaps=overlaps,
        total_unique_customers=sum(counts.values()),
        overlap_warnings=[
            f"{names[one.segments[0]]} and {names[one.segments[1]]} share {one.percent:g} % of the smaller of the two"
            for one in overlaps
            if one.percent > WARN_PERCENT
        ],
    )
