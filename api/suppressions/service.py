"""Works out a customer's suppressions, and lifts them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from api.catalogue.service import author_of
from api.http.errors import ApiError
from api.http.times import iso
from api.suppressions.schemas import SuppressionView, view_of
from rapport.domain.audit import AuditDraft, encode_canonical
from rapport.domain.catalogue.suppression import SuppressionRule, select_active_rules
from rapport.domain.customers.customer import CustomerKey
from rapport.domain.customers.merge import merge_snapshots
from rapport.domain.privacy import hash_customer
from rapport.domain.profiles.suppressions import Suppression, compute_suppressions
from rapport.storage.audit import append_audit
from rapport.storage.customers import load_snapshots
from rapport.storage.suppressions import read_triggers, record_lift

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.auth.principal import Principal
    from api.services import Services


async def list_suppressions(services: Services, tenant_id: str, customer_id: str) -> Sequence[SuppressionView]:
    """Those that hold and those that have ended, by the rules and the catalogue as they are now.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    catalogue = await services.catalogues.of(tenant_id)
    now_ms = services.clock()
    return [view_of(one, catalogue, now_ms) for one in await _find(services, tenant_id, customer_id, now_ms)]


async def lift_suppression(
    services: Services, principal: Principal, customer_id: str, suppression_id: str, reason: str
) -> SuppressionView:
    """End a suppression for whom it was wrong, and note in the audit log who did, and why.

    One that has ended stays as it is. What follows the same outcome in other scopes is not lifted.

    Raises:
        ApiError: 404; the customer has no such suppression.
        StorageError: ClickHouse does not answer.
    """
    tenant_id, now_ms = principal.tenant_id, services.clock()
    suppression = await _find_one(services, tenant_id, customer_id, suppression_id, now_ms)
    if suppression.is_active(now_ms):
        author = author_of(principal)
        draft = AuditDraft(
            at_ms=now_ms,
            actor=author.name,
            action="lift",
            entity_type="suppression",
            entity_id=suppression.id,
            before=encode_canonical({"expiresAt": iso(suppression.expires_at_ms)}),
            after=encode_canonical(
                {
                    "customerHash": hash_customer(tenant_id, customer_id),
                    "ruleId": suppression.rule_id,
                    "scopeId": suppression.scope_id,
                    "reason": reason,
                }
            ),
            request_id=author.request_id,
        )
        write = partial(record_lift, at_ms=now_ms, reason=reason, author=author)
        await services.database.call(write, tenant_id, customer_id, suppression)
        await services.database.call(append_audit, tenant_id, [draft])
        suppression = await _find_one(services, tenant_id, customer_id, suppression_id, now_ms)
    return view_of(suppression, await services.catalogues.of(tenant_id), now_ms)


async def _find_one(
    services: Services, tenant_id: str, customer_id: str, suppression_id: str, now_ms: int
) -> Suppression:
    found = await _find(services, tenant_id, customer_id, now_ms)
    suppression = next((one for one in found if one.id == suppression_id), None)
    if suppression is None:
        raise ApiError(404, "The customer has no such suppression.")
    return suppression


async def _find(services: Services, tenant_id: str, customer_id: str, now_ms: int) -> Sequence[Suppression]:
    stored = await services.catalogues.stored(tenant_id)
    catalogue = await services.catalogues.of(tenant_id)
    rules = select_active_rules(cast("Sequence[SuppressionRule]", stored.entities.get("suppression_rule", ())))
    outcomes = {outcome for rule in rules for outcome in (*rule.outcomes, *rule.ended_by)}
    members = await services.identities.members(tenant_id, customer_id)
    found = await services.database.call(read_triggers, tenant_id, members, outcomes)
    kept = await services.database.call(load_snapshots, [CustomerKey(tenant_id, member) for member in members])
    tenant = await services.tenants.get(tenant_id)
    triggers = [trigger for of_one in found.values() for trigger in of_one]
    category_of = {offer.id: offer.category_id for offer in catalogue.offers.values()}
    endings = merge_snapshots(kept, tenant.settings).endings
    return compute_suppressions(rules, triggers, category_of, now_ms, endings)
