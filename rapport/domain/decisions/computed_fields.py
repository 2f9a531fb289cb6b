"""Custom fields that offers inherit from their categories: default values and computed fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from rapport.domain.catalogue.inventory import Category, CustomField, Offer, SubCategory
from rapport.domain.catalogue.schedule import parse_optional_instant
from rapport.domain.catalogue.values import Status
from rapport.domain.formulas import Formula, FormulaError, compile_formula

ComputedFormulas = Sequence[tuple[str, Formula]]
Default = str | float | bool


@dataclass(frozen=True, slots=True)
class OfferFields:
    """Custom fields that categories and sub-categories define for their offers, by owner key."""

    defaults: Mapping[str, Mapping[str, Default]]
    computed: Mapping[str, ComputedFormulas]

    @classmethod
    def build(
        cls, categories: Mapping[str, Category], sub_categories: Mapping[str, SubCategory], problems: list[str]
    ) -> OfferFields:
        """Compile the custom fields; a message about each formula that cannot be compiled is added to ``problems``."""
        fields = {f"/{sub_category.id}": sub_category.custom_fields for sub_category in sub_categories.values()}
        fields |= {category.id: category.custom_fields for category in categories.values()}
        return cls(
            {owner: _list_defaults(own) for owner, own in fields.items()},
            {owner: _compile_computed(owner.lstrip("/"), own, problems) for owner, own in fields.items()},
        )

    def list_computed(self, offer: Offer) -> ComputedFormulas:
        """Return the computed fields of an offer, in the order of their evaluation."""
        return [field for owner in _list_owner_keys(offer) for field in self.computed.get(owner, ())]

    def merge_defaults(self, offer: Offer) -> Mapping[str, Default]:
        """Return the defaults of the offer's custom fields; those of the sub-category override the category's."""
        return {key: value for owner in _list_owner_keys(offer) for key, value in self.defaults.get(owner, {}).items()}


def _list_owner_keys(offer: Offer) -> tuple[str, str]:
    """Return the owner keys of an offer's category and sub-category.

    The two can have equal ids, so that the key of a sub-category has a slash in front, which no id begins with.
    """
    return offer.category_id or "", f"/{offer.sub_category_id or ''}"


def _list_defaults(fields: Iterable[CustomField]) -> Mapping[str, Default]:
    return {field.key: field.default_value for field in fields if field.default_value is not None}


def _compile_computed(owner: str, fields: Iterable[CustomField], problems: list[str]) -> ComputedFormulas:
    compiled: list[tuple[str, Formula]] = []
    for field in fields:
        if field.type != "computed":
            continue
        try:
            compiled.append((field.key, compile_formula(field.formula)))
        except FormulaError as error:
            problems.append(f"the computed field {field.key} of {owner} is left out: {error}")
    return compiled


def prepare_offer(offer: Offer, fields: OfferFields, problems: list[str]) -> Offer:
    """Return an offer with the defaults of its custom fields; one whose times cannot be parsed is paused."""
    try:
        for text in (offer.schedule.start_at, offer.schedule.end_at, offer.mandatory_expires_at):
            parse_optional_instant(text)
    except ValueError as error:
        problems.append(f"offer {offer.id} is not offered: {error}")
        offer = msgspec.structs.replace(offer, status=Status.PAUSED)
    defaults = fields.merge_defaults(offer)
    return msgspec.structs.replace(offer, custom_fields={**defaults, **offer.custom_fields}) if defaults else offer
