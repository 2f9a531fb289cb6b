"""Works out a customer's suppressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from api.suppressions.schemas import SuppressionView, view_of
from rapport.domain.catalogue.suppression import SuppressionRule, rules_in_force
from rapport.domain.profiles.suppressions import suppressions_of
from rapport.storage.suppressions import read_triggers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.services import Services


async def list_suppressions(services: Services, tenant_id: str, customer_id: str) -> Sequence[SuppressionView]:
    """Those that hold and those that have ended, by the rules and the catalogue as they are now.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    stored = await services.catalogues.stored(tenant_id)
    catalogue = await services.catalogues.of(tenant_id)
    rules = rules_in_force(cast("Sequence[SuppressionRule]", stored.entities.get("suppression_rule", ())))
    outcomes = {outcome for rule in rules for outcome in rule.outcomes}
    members = await services.identities.members(tenant_id, customer_id)
    found = await services.database.call(read_triggers, tenant_id, members, outcomes)
    triggers = [trigger for of_one in found.values() for trigger in of_one]
    category_of = {offer.id: offer.category_id for offer in catalogue.offers.values()}
    now_ms = services.clock()
    return [view_of(one, catalogue, now_ms) for one in suppressions_of(rules, triggers, category_of, now_ms)]
