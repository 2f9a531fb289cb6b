"""Outcome types: how an interaction's outcome counts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec

RECOMMENDATION: Final = "recommendation"
"""Outcome that Recommend records for each offer: stored in the history, no contact with the customer."""
CHANGE_DELAY_MS: Final = 10_000
"""Delay until a change takes effect, so that every worker knows of it before the first event that it concerns."""
OutcomeKey = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.:-]+$")]
OutcomeName = Annotated[str, msgspec.Meta(max_length=255)]
OutcomeDescription = Annotated[str, msgspec.Meta(max_length=10_000)]
OutcomeOrdinal = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
OwnCategory = Literal["impression", "response"]
"""Categories that a tenant's own outcome types may have."""


class Classification(StrEnum):
    """Attitude of the customer that an outcome expresses."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    NEUTRAL = "neutral"


class OutcomeCategory(StrEnum):
    """Kind of an outcome: an impression, a response, or a recommendation, which is no contact."""

    IMPRESSION = "impression"
    RESPONSE = "response"
    RECOMMENDATION = "recommendation"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeType:
    """One version of one outcome type of a tenant.

    Attributes:
        key: The ``outcome`` that producers send.
        is_conversion: Counts in ``converts`` (and in ``positive`` by its classification).
        allows_negative_value: Its events may carry a value below 0, such as a refund's; others are rejected for it.
        effective_at_ms: The broker time, epoch milliseconds, from which on this version applies. A change never
            reaches back: an event received before it is counted the old way, in a replay too.
        is_active: False for a deleted type: events from then on are rejected as unknown.
    """

    key: str
    classification: Classification
    category: OutcomeCategory
    is_conversion: bool = False
    allows_negative_value: bool = False
    effective_at_ms: int = 0
    is_active: bool = True


def _make_type(key: str, classification: str, category: str, *, is_conversion: bool = False) -> OutcomeType:
    return OutcomeType(
        key=key,
        classification=Classification(classification),
        category=OutcomeCategory(category),
        is_conversion=is_conversion,
    )


DEFAULT_OUTCOME_TYPES: Final[Sequence[OutcomeType]] = (
    _make_type("impression", "neutral", "impression"),
    _make_type("click", "positive", "response"),
    _make_type("dismiss", "negative", "response"),
    _make_type("accept", "positive", "response"),
    _make_type("convert", "positive", "response", is_conversion=True),
    _make_type("conversion", "positive", "response", is_conversion=True),
    _make_type("not_presented", "neutral", "impression"),
    _make_type("requested_info", "positive", "response"),
    _make_type("not_interested", "negative", "response"),
    _make_type("expired", "neutral", "impression"),
    _make_type("deferred", "neutral", "response"),
    _make_type("defer", "neutral", "response"),
    _make_type("opt_out", "negative", "response"),
    _make_type("unsubscribe", "negative", "response"),
    _make_type("complaint", "negative", "response"),
    _make_type("share", "positive", "response"),
    _make_type("save", "positive", "response"),
    _make_type(RECOMMENDATION, "neutral", "recommendation"),
)
"""Outcome types of a new tenant: the union of the documented lists (API page, feature page, tutorial)."""

OutcomeVersions = Mapping[str, Sequence[OutcomeType]]
"""A tenant's outcome types by key; the versions of each ascend by ``effective_at_ms``."""


def group_versions(outcome_types: Iterable[OutcomeType]) -> dict[str, tuple[OutcomeType, ...]]:
    """Group outcome types by key for :func:`classify`, whatever order they come in."""
    by_key: dict[str, list[OutcomeType]] = {}
    for outcome_type in outcome_types:
        by_key.setdefault(outcome_type.key, []).append(outcome_type)
    return {key: tuple(sorted(versions, key=_effective_at)) for key, versions in by_key.items()}


def classify(outcome: str, received_at_ms: int, versions: OutcomeVersions) -> OutcomeType | None:
    """Find the version of an outcome type that applies to an event the broker received at a time.

    Returns:
        The version, or None if the tenant knows no such outcome at that time.
    """
    of_key = versions.get(outcome)
    if of_key is None:
        return None
    at = bisect_right(of_key, received_at_ms, key=_effective_at) - 1
    if at < 0 or not of_key[at].is_active:
        return None
    return of_key[at]


def compute_effective_at_ms(now_ms: int, *, last_effective_at_ms: int | None, was_active: bool) -> int:
    """Compute the time from which a new version of an outcome type applies.

    Args:
        now_ms: Time of the change.
        last_effective_at_ms: The same of the version before; None if there is none.
        was_active: False if the version before ended the outcome type. A type made (again) applies at once, which is
            soon enough: workers look up a key that they do not know.
    """
    wanted = now_ms + CHANGE_DELAY_MS if was_active else now_ms
    return wanted if last_effective_at_ms is None else max(wanted, last_effective_at_ms + 1)


def derive_name(key: str) -> str:
    """Derive the name of an outcome type that was given none."""
    return key.replace("_", " ").capitalize()


def derive_direction(category: OutcomeCategory) -> str:
    """Return the direction of an interaction that names none: inbound for responses, else outbound."""
    return "inbound" if category is OutcomeCategory.RESPONSE else "outbound"


def explain_negative_value(outcome: str, conversion_value: float | None, *, is_allowed: bool) -> str:
    """Explain why an event may not carry its value; empty if it may.

    Args:
        outcome: Outcome of the event.
        conversion_value: Value of the event.
        is_allowed: Whether the outcome's type allows negative values.
    """
    if conversion_value is None or conversion_value >= 0 or is_allowed:
        return ""
    return (
        f"conversionValue must not be negative for outcome {outcome[:64]!r}: its outcome type does not have"
        " allowsNegativeValue."
    )


def _effective_at(outcome_type: OutcomeType) -> int:
    return outcome_type.effective_at_ms
