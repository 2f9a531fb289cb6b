"""Metrics and attributes that a catalogue refers to, found by a text search: never too few, sometimes too many."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from rapport.domain.catalogue.strategy import MetricDefinition, QualificationRule
from rapport.domain.catalogue.values import Entity, Status

LIGHT_OFFERS: Final = 256
LIGHT_OFFER_BYTES: Final = 256 * 1024
"""Maximum size of all offers and creatives; a decision reads each once."""
LIGHT_RULE_BYTES: Final = 64 * 128 * 1024
"""Maximum of the size of all the rest, rules, policies and flows, times the number of offers."""
LIGHT_FORMULAS: Final = 256
"""Maximum of the number of formulas times the number of offers."""
_SHOWN: Final = ("offer", "creative")
_ATTRIBUTE: Final = re.compile(rb"\bcustomer\.([A-Za-z_]\w*)")


def find_referenced_metrics(
    entities: Mapping[str, Iterable[Entity]], metrics: Iterable[MetricDefinition]
) -> frozenset[str]:
    """Return the keys of the metrics that occur anywhere in the catalogue except in the metrics themselves."""
    text = _encode_entities(entities, without=("metric",))
    return frozenset(metric.key for metric in metrics if metric.key.encode() in text)


def find_referenced_attributes(entities: Mapping[str, Iterable[Entity]]) -> frozenset[str]:
    """Return the names of customer attributes: those in ``customer.*`` anywhere, and bare ones in rules."""
    named = (name.decode() for name in _ATTRIBUTE.findall(_encode_entities(entities, without=("customer_schema",))))
    rules = (rule for rule in entities.get("qualification_rule", ()) if isinstance(rule, QualificationRule))
    bare = (name for rule in rules if isinstance(name := rule.config.get("attribute"), str))
    return frozenset((*named, *bare))


def is_light(offers: int, entities: Mapping[str, Iterable[Entity]]) -> bool:
    """Return whether decisions are quick: few offers, a small configuration, no patterns and few formulas per offer."""
    shown = _encode_entities({kind: entities.get(kind, ()) for kind in _SHOWN})
    rules = _encode_entities(entities, without=("metric", *_SHOWN))
    texts = (shown, rules)
    formulas = sum(text.count(name) for text in texts for name in (b'"formula":"', b'"expression":"'))
    is_small = offers <= LIGHT_OFFERS and len(shown) <= LIGHT_OFFER_BYTES and len(rules) * offers <= LIGHT_RULE_BYTES
    has_pattern = any(b'"regex"' in text for text in texts)
    return is_small and not has_pattern and offers * formulas <= LIGHT_FORMULAS


def _encode_entities(entities: Mapping[str, Iterable[Entity]], *, without: Collection[str] = ()) -> bytes:
    return b"\n".join(
        msgspec.json.encode(entity)
        for kind, of_kind in entities.items()
        if kind not in without
        for entity in of_kind
        if entity.status is not Status.ARCHIVED
    )
