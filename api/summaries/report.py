"""Names and rates for the report of totals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from api.summaries.schemas import ReportRow

if TYPE_CHECKING:
    from rapport.storage.catalogue_names import NamedEntity, Names

GROUPS: Final[Mapping[str, str]] = {
    "action": "offer",
    "offer": "offer",
    "treatment": "creative",
    "creative": "creative",
    "channel": "channel",
    "customer": "customer",
}
"""What ``groupBy`` may say, with the older names, and what it means."""


def row_of(group: str, row: Mapping[str, Any], names: Names) -> ReportRow:
    """A row of the report with the names that the catalogue knows."""
    group_id = row["group_id"] or None
    entity = _FIND[group](names, row["group_id"])
    name = entity.name if entity else None
    extra = _EXTRA[group](entity, names) if entity else {}
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


def _of_offer(offer: NamedEntity, names: Names) -> dict[str, Any]:
    category = names.categories.get(offer.fields.get("categoryId") or "")
    sub_category = names.sub_categories.get(offer.fields.get("subCategoryId") or "")
    return {
        "issue": category.name if category else None,
        "group": sub_category.name if sub_category else None,
        "status": offer.status,
        "priority": offer.fields.get("priority", 50),
    }


def _of_creative(creative: NamedEntity, names: Names) -> dict[str, Any]:
    offer = names.offers.get(creative.offer_id or "")
    channel = names.channels.get(creative.channel_id or "")
    return {
        "status": creative.status,
        "offer_name": offer.name if offer else None,
        "channel_name": channel.name if channel else None,
        "channel_type": channel.fields.get("channelType", "web") if channel else None,
        "template_type": creative.fields.get("templateType", "web_banner"),
        "ab_test_variant": creative.fields.get("abTestVariant"),
        "weight": creative.fields.get("weight", 100.0),
    }


def _of_channel(channel: NamedEntity, names: Names) -> dict[str, Any]:
    creatives = [one for one in names.creatives.values() if one.channel_id == channel.id and one.status != "deleted"]
    return {"channel_type": channel.fields.get("channelType", "web"), "treatment_count": len(creatives)}


_FIND: Final[Mapping[str, Callable[[Names, str], NamedEntity | None]]] = {
    "offer": lambda names, own: names.offers.get(own),
    "creative": lambda names, own: names.creatives.get(own),
    "channel": lambda names, own: names.channels.get(own),
    "customer": lambda _names, _own: None,
}
_EXTRA: Final[Mapping[str, Callable[[NamedEntity, Names], dict[str, Any]]]] = {
    "offer": _of_offer,
    "creative": _of_creative,
    "channel": _of_channel,
    "customer": lambda _entity, _names: {},
}
