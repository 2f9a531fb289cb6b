"""Expected totals of the summaries after a data set has been applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over a data set.

    Attributes:
        events: Number of events; all of them are contacts.
        customers: Number of different customers.
        total_value: Sum of conversion values over positive outcomes.
    """

    events: int
    customers: int
    total_value: Decimal
