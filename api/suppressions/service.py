"""Computes a customer's suppressions, and lifts them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from api.auth.principal import author_of
from api.http.errors import ApiError
from api.http.times import iso
from api.suppressions.schemas import SuppressionView, build_view
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
    from api.http.times import Clock
    from api.runtime.catalogue_cache import CompiledCatalogues
    from api.runtime.identity_cache import IdentityCache
    from api.runtime.tenant_cache import TenantCache
    from rapport.storage.database import Database


class SuppressionService:
    """Suppressions of every tenant's customers."""

    def __init__(
        self,
        database: Database,
        catalogues: CompiledCatalogues,
        tenants: TenantCache,
        identities: IdentityCache,
        clock: Clock,
    ) -> None:
        self._database = database
        self._catalogues = catalogues
        self._tenants = tenants
        self._identities = identities
        self._clock = clock

    async def list_all(self, tenant_id: str, customer_id: str) -> Sequence[SuppressionView]:
        """List suppressions in force and ended ones, by the rules and the catalogue as they are now.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        catalogue = await self._catalogues.of(tenant_id)
        now_ms = self._clock()
        return [build_view(one, catalogue, now_ms) for one in await self._find(tenant_id, customer_id, now_ms)]

    async def lift(self, principal: Principal, customer_id: str, suppression_id: str, reason: str) -> SuppressionView:
        """Lift a suppression, and write to the audit log who did, and why.

        One that has ended stays as it is. What follows the same outcome in other scopes is not lifted.

        Raises:
            ApiError: 404; the customer has no such suppression.
            StorageError: ClickHouse does not answer.
        """
        tenant_id, now_ms = principal.tenant_id, self._clock()
        suppression = await self._find_one(tenant_id, customer_id, suppression_id, now_ms)
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
            await self._database.call(write, tenant_id, customer_id, suppression)
            await self._database.call(append_audit, tenant_id, [draft])
            suppression = await self._find_one(tenant_id, customer_id, suppression_id, now_ms)
        return build_view(suppression, await self._catalogues.of(tenant_id), now_ms)

    async def _find_one(self, tenant_id: str, customer_id: str, suppression_id: str, now_ms: int) -> Suppression:
        found = await self._find(tenant_id, customer_id, now_ms)
        suppression = next((one for one in found if one.id == suppression_id), None)
        if suppression is None:
            raise ApiError(404, "The customer has no such suppression.")
        return suppression

    async def _find(self, tenant_id: str, customer_id: str, now_ms: int) -> Sequence[Suppression]:
        stored = await self._catalogues.stored(tenant_id)
        catalogue = await self._catalogues.of(tenant_id)
        rules = select_active_rules(cast("Sequence[SuppressionRule]", stored.entities.get("suppression_rule", ())))
        outcomes = {outcome for rule in rules for outcome in (*rule.outcomes, *rule.ended_by)}
        members = await self._identities.members(tenant_id, customer_id)
        found = await self._database.call(read_triggers, tenant_id, members, outcomes)
        kept = await self._database.call(load_snapshots, [CustomerKey(tenant_id, member) for member in members])
        tenant = await self._tenants.get(tenant_id)
        triggers = [trigger for of_one in found.values() for trigger in of_one]
        category_of = {offer.id: offer.category_id for offer in catalogue.offers.values()}
        endings = merge_snapshots(kept, tenant.settings).endings
        return compute_suppressions(rules, triggers, category_of, now_ms, endings)
