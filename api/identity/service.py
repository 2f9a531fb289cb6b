"""Resolves identifiers, links them, and merges customers."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from api.auth.principal import author_of
from api.http.errors import ApiError, invalid
from api.identity.schemas import ClusterView, IdentifierView, IdentityAnswer, IdentityBody, IdentityView
from rapport.domain.audit import AuditDraft, encode_canonical
from rapport.domain.faults import Fault
from rapport.domain.placeholders import explain_placeholder
from rapport.domain.privacy import hash_customer
from rapport.domain.profiles.identity import MAX_MEMBERS, MergeStatement
from rapport.storage.audit import append_audit
from rapport.storage.identity import (
    CUSTOMER_ID,
    Identifier,
    append_links,
    append_statement,
    list_identifiers,
    resolve_identifier,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.auth.principal import Principal
    from api.http.times import Clock
    from api.runtime.identity_cache import IdentityCache
    from rapport.storage.database import Database

_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "resolve": ("identifier",),
    "link": ("canonicalId", "identifiers"),
    "merge": ("targetId", "sourceId"),
    "unmerge": ("sourceId",),
}


class IdentityService:
    """Identifiers of customers, and customers who are one person."""

    def __init__(self, database: Database, identities: IdentityCache, clock: Clock) -> None:
        self._database = database
        self._identities = identities
        self._clock = clock

    async def show(self, tenant_id: str, customer_id: str) -> IdentityView:
        """Show the identity of a customer; one without any data has its id alone."""
        members = await self._identities.members(tenant_id, customer_id)
        found = await self._database.call(list_identifiers, tenant_id, members)
        named = [IdentifierView(type=one.type, value=one.value, confidence=one.confidence) for one in found]
        return IdentityView(customer_id=customer_id, cluster=ClusterView(canonical_id=members[0], identifiers=named))

    async def act(self, principal: Principal, body: IdentityBody) -> IdentityAnswer:
        """Execute the action of a request.

        Raises:
            ApiError: 400 for fields that the action needs; 404 for an unknown identifier or merge; 409 for a merge of
                customers who are one person already, or too many.
        """
        _check(body)
        if body.action == "resolve":
            return await self._resolve(principal.tenant_id, body)
        if body.action == "link":
            return await self._link(principal, body)
        if body.action == "merge":
            return await self._merge(principal, body.source_id or "", body.target_id or "")
        return await self._unmerge(principal, body.source_id or "", body.target_id or "")

    async def _resolve(self, tenant_id: str, body: IdentityBody) -> IdentityAnswer:
        asked = body.identifier
        assert asked is not None  # noqa: S101 - it was checked
        owner: str | None = asked.value
        if asked.type != CUSTOMER_ID:
            owner = await self._database.call(resolve_identifier, tenant_id, asked.type, asked.value)
        if owner is None:
            raise ApiError(404, f"Nobody is known by this {asked.type}.")
        return IdentityAnswer(canonical_id=(await self._identities.of(tenant_id)).canonical(owner))

    async def _link(self, principal: Principal, body: IdentityBody) -> IdentityAnswer:
        customer_id = body.canonical_id or ""
        links = [Identifier(one.type, one.value, body.confidence) for one in body.identifiers]
        await self._database.call(append_links, principal.tenant_id, customer_id, links, author_of(principal))
        await self._note(principal, "link", f"lnk_{uuid.uuid4().hex}", [customer_id], [one.type for one in links])
        return IdentityAnswer(success=True)

    async def _merge(self, principal: Principal, source_id: str, target_id: str) -> IdentityAnswer:
        merges = await self._identities.refresh(principal.tenant_id)
        source, target = merges.members(source_id), merges.members(target_id)
        if source == target:
            raise ApiError(409, "The source and the target are one person already.")
        if len(source) + len(target) > MAX_MEMBERS:
            raise ApiError(409, f"A person has at most {MAX_MEMBERS} ids.")
        statement = MergeStatement(f"mrg_{uuid.uuid4().hex}", source_id, target_id)
        await self._state(principal, "merge", statement)
        return IdentityAnswer(success=True, merge_id=statement.merge_id)

    async def _unmerge(self, principal: Principal, source_id: str, target_id: str) -> IdentityAnswer:
        merges = await self._identities.refresh(principal.tenant_id)
        found = merges.find(source_id, target_id)
        if found is None:
            raise ApiError(404, "No merge with this source and target is in force.")
        await self._state(principal, "unmerge", found._replace(is_undone=True))
        return IdentityAnswer(success=True, merge_id=found.merge_id)

    async def _state(self, principal: Principal, action: str, statement: MergeStatement) -> None:
        await self._database.call(append_statement, principal.tenant_id, statement, author_of(principal))
        await self._note(principal, action, statement.merge_id, [statement.source_id, statement.target_id], [])

    async def _note(
        self, principal: Principal, action: str, entity_id: str, customers: list[str], types: list[str]
    ) -> None:
        """Write the action to the audit log, which outlives erasure and therefore holds customers by hash only."""
        author = author_of(principal)
        hashes = [hash_customer(principal.tenant_id, customer_id) for customer_id in customers]
        said = {"customerHashes": hashes, **({"identifierTypes": types} if types else {})}
        draft = AuditDraft(
            at_ms=self._clock(),
            actor=author.name,
            action=action,
            entity_type="identity",
            entity_id=entity_id,
            after=encode_canonical(said),
            request_id=author.request_id,
        )
        await self._database.call(append_audit, principal.tenant_id, [draft])


def _check(body: IdentityBody) -> None:
    given = {
        "identifier": body.identifier,
        "canonicalId": body.canonical_id,
        "identifiers": body.identifiers,
        "targetId": body.target_id,
        "sourceId": body.source_id,
    }
    faults = [
        Fault(field=name, message=f"{name} is required to {body.action}")
        for name in _NEEDED[body.action]
        if not given[name]
    ]
    if body.action == "link":
        faults += [
            Fault(field=f"identifiers[{number}].type", message="is an id of a customer: merge the customers instead")
            for number, one in enumerate(body.identifiers)
            if one.type == CUSTOMER_ID
        ]
    faults += _find_placeholders(body)
    if faults:
        raise invalid(*faults)


def _find_placeholders(body: IdentityBody) -> list[Fault]:
    """Find ids that are placeholders, where they would link customers; an earlier link by them may be undone."""
    if body.action not in ("link", "merge"):
        return []
    named = {"canonicalId": body.canonical_id, "sourceId": body.source_id, "targetId": body.target_id}
    named |= {f"identifiers[{number}].value": one.value for number, one in enumerate(body.identifiers)}
    return [
        Fault(field=name, message=why) for name, text in named.items() if text and (why := explain_placeholder(text))
    ]
