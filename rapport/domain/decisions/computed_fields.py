"""Offers with what their categories say about them: defaults of custom fields, and computed fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from rapport.domain.catalogue.inventory import Category, CustomField, Offer, SubCategory
from rapport.domain.catalogue.schedule import instant_ms
from rapport.domain.catalogue.values import Status
from rapport.domain.formulas import Formula, FormulaError, compile_formula

ComputedFormulas = Sequence[tuple[str, Formula]]
Default = str | float | bool


@dataclass(frozen=True, slots=True)
class OfferFields:
    """What categories and sub-categories give to their offers, by their ids."""

    defaults: Mapping[str, Mapping[str, Default]]
    computed: Mapping[str, ComputedFormulas]

    @classmethod
    def of(
        cls, categories: Mapping[str, Category], sub_categories: Mapping[str, SubCategory], problems: list[str]
    ) -> OfferFields:
        """Gather them.

        Args:
            categories: By id.
            sub_categories: By id.
            problems: Gets what is left out, and why.
        """
        fields = {f"/{one.id}": one.custom_fields for one in sub_categories.values()}
        fields |= {one.id: one.custom_fields for one in categories.values()}
        return cls(
            {owner: _list_defaults(own) for owner, own in fields.items()},
            {owner: _compile_computed(owner.lstrip("/"), own, problems) for owner, own in fields.items()},
        )

    def computed_of(self, offer: Offer) -> ComputedFormulas:
        """The computed fields of an offer, in the order in which they are worked out."""
        return [one for owner in _list_owner_keys(offer) for one in self.computed.get(owner, ())]

    def defaults_of(self, offer: Offer) -> Mapping[str, Default]:
        """What the offer's fields are where it does not say; the sub-category comes before the category."""
        return {key: value for owner in _list_owner_keys(offer) for key, value in self.defaults.get(owner, {}).items()}


def _list_owner_keys(offer: Offer) -> tuple[str, str]:
    """Ids of categories and sub-categories may be equal; no id begins with a slash."""
    return offer.category_id or "", f"/{offer.sub_category_id or ''}"


def _list_defaults(fields: Iterable[CustomField]) -> Mapping[str, Default]:
    return {field.key: field.default_value for field in fields if field.default_value is not None}


def _compile_computed(owner: str, fields: Iterable[CustomField], problems: list[str]) -> ComputedFormulas:
    found: list[tuple[str, Formula]] = []
    for field in fields:
        if field.type != "computed":
            continue
        try:
            found.append((field.key, compile_formula(field.formula)))
        except FormulaError as error:
            problems.append(f"the computed field {field.key} of {owner} is left out: {error}")
    return found


def prepare_offer(offer: Offer, fields: OfferFields, problems: list[str]) -> Offer:
    """An offer with its defaults; one whose times cannot be read is paused."""
    try:
        for text in (offer.schedule.start_at, offer.schedule.end_at, offer.mandatory_expires_at):
            instant_ms(text)
    except ValueError as error:
        problems.append(f"offer {offer.id} is not offered: {error}")
        offer = msgspec.structs.replace(offer, status=Status.PAUSED)
    defaults = fields.defaults_of(offer)
    return msgspec.structs.replace(offer, custom_fields={**defaults, **offer.custom_fields}) if defaults else offer
