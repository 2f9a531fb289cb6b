"""Columns of a catalogue's possible candidates, computed once per catalogue.

A position stands for an offer with one of its creatives, or without any. Positions ascend in the order in which ties of
a ranking are broken: higher priority first, then the smaller id of the offer, then of the creative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rapport.domain.catalogue.inventory import Budget

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Creative, Offer


@dataclass(frozen=True, slots=True)
class CandidateColumns:
    """Columns of all possible candidates.

    Attributes:
        size: Number of positions.
        positions: By ids of offer and creative; the creative's is empty for the offer without a creative.
        categories: Number of the offer's category, by position.
        limited: Ids of offers whose own budget or caps can block customers who were never contacted about them.
    """

    size: int = 0
    positions: Mapping[tuple[str, str], int] = field(default_factory=dict)
    categories: Sequence[int] = ()
    limited: frozenset[str] = frozenset()

    @classmethod
    def build(cls, offers: Sequence[Offer], creatives: Mapping[str, Sequence[Creative]]) -> CandidateColumns:
        """Build the columns of offers and their active creatives by offer id, which are ordered by id."""
        positions: dict[tuple[str, str], int] = {}
        categories: list[int] = []
        numbers: dict[str | None, int] = {}
        for offer in sorted(offers, key=lambda offer: (-offer.priority, offer.id)):
            for creative_id in ("", *(creative.id for creative in creatives.get(offer.id, ()))):
                positions[offer.id, creative_id] = len(positions)
                categories.append(numbers.setdefault(offer.category_id, len(numbers)))
        limited = frozenset(offer.id for offer in offers if _can_block_anyone(offer))
        return cls(len(positions), positions, categories, limited)


def _can_block_anyone(offer: Offer) -> bool:
    caps = offer.frequency_caps
    return offer.budget != Budget() or any(
        most is not None and most <= 0 for most in (caps.daily, caps.weekly, caps.monthly)
    )
