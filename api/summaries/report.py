"""Names and rates for the report of totals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from api.runtime.catalogue_names import DELETED
from api.summaries.schemas import ReportRow

if TYPE_CHECKING:
    from api.runtime.catalogue_names import EntityNames

_About = tuple[str | None, dict[str, Any]]
"""The name of something, and what else the catalogue knows of it."""
GROUPS: Final[Mapping[str, str]] = {
    "action": "offer",
    "offer": "offer",
    "treatment": "creative",
    "creative": "creative",
    "channel": "channel",
    "customer": "customer",
}
"""What ``groupBy`` may say, with the older names, and what it means."""


def build_row(group: str, row: Mapping[str, Any], names: EntityNames) -> ReportRow:
    """Build a row of the report with the names of the catalogue."""
    group_id = row["group_id"] or None
    name, extra = _ABOUT[group](names, row["group_id"])
    counts = {key: row[key] for key in ("impression", "click", "dismiss", "accept", "convert", "total")}
    classes = {key: row[key] for key in ("positive", "negative", "neutral")}
    return ReportRow(
        id=group_id,
        name=name,
        ctr=_per_hundred(row["click"], row["impression"]),
        cvr=_per_hundred(row["convert"], row["impression"]),
        **counts,
        **classes,
        **extra,
    )


def _per_hundred(count: int, impressions: int) -> float:
    return round(count / impressions * 100, 2) if impressions else 0.0


def _of_offer(names: EntityNames, own: str) -> _About:
    found = names.offer(own)
    if found is None:
        return None, {}
    offer = found.entity
    category, sub_category = names.category(offer.category_id), names.sub_category(offer.sub_category_id)
    return offer.name, {
        "issue": category.entity.name if category else None,
        "group": sub_category.entity.name if sub_category else None,
        "status": found.status,
        "priority": offer.priority,
    }


def _of_creative(names: EntityNames, own: str) -> _About:
    found = names.creative(own)
    if found is None:
        return None, {}
    creative = found.entity
    offer, channel = names.offer(creative.offer_id), names.channel(creative.channel_id)
    return creative.name, {
        "status": found.status,
        "offer_name": offer.entity.name if offer else None,
        "channel_name": channel.entity.name if channel else None,
        "channel_type": channel.entity.channel_type if channel else None,
        "template_type": creative.template_type,
        "ab_test_variant": creative.ab_test_variant,
        "weight": creative.weight,
    }


def _of_channel(names: EntityNames, own: str) -> _About:
    found = names.channel(own)
    if found is None:
        return None, {}
    creatives = [one for one in names.creatives() if one.entity.channel_id == own and one.status != DELETED]
    return found.entity.name, {"channel_type": found.entity.channel_type, "treatment_count": len(creatives)}


_ABOUT: Final[Mapping[str, Callable[[EntityNames, str], _About]]] = {
    "offer": _of_offer,
    "creative": _of_creative,
    "channel": _of_channel,
    "customer": lambda _names, _own: (None, {}),
}
