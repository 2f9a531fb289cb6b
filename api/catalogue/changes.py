"""Changes that requests ask for: each is decided on the catalogue as it is when it is written."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import structlog

from api.auth.principal import author_of
from api.catalogue.bodies import Fields, apply_merge_patch, build_entity, make_slug, modernise_fields
from api.http.errors import ApiError, invalid
from api.http.times import now_ms, parse_time
from rapport.domain.api_keys import Role
from rapport.domain.catalogue.inventory import Offer
from rapport.domain.catalogue.plain import to_sparse_fields
from rapport.domain.catalogue.strategy import DecisionFlow
from rapport.domain.catalogue_checks.kinds import KINDS
from rapport.domain.catalogue_checks.validate import apply_changes, find_faults, is_draft_fault, is_same
from rapport.domain.decisions.flow_checks import find_size_fault
from rapport.domain.faults import Fault
from rapport.storage.audit import audit_catalogue
from rapport.storage.catalogue_changes import EntityChange, change_catalogue
from rapport.storage.errors import StorageError

if TYPE_CHECKING:
    from api.auth.principal import Principal
    from rapport.domain.catalogue.values import Entity
    from rapport.storage.catalogue import EntityVersion, StoredCatalogue
    from rapport.storage.catalogue_changes import ChangeFunction
    from rapport.storage.client import Store

log = structlog.get_logger(__name__)
_ID_PREFIXES: Final[Mapping[str, str]] = {
    "category": "cat",
    "sub_category": "sub",
    "channel": "ch",
    "placement": "pl",
    "offer": "off",
    "creative": "cr",
    "qualification_rule": "qr",
    "contact_policy": "cp",
    "suppression_rule": "sr",
    "ranking_profile": "rp",
    "model": "mod",
    "experiment": "exp",
    "metric": "met",
    "decision_flow": "flow",
    "segment": "seg",
    "journey": "jrn",
    "customer_schema": "sch",
}


def change(store: Store, principal: Principal, decide: ChangeFunction) -> StoredCatalogue:
    """Change the catalogue of the caller's tenant, and note it in the audit log."""
    after = change_catalogue(store, principal.tenant_id, author_of(principal), decide)
    try:
        audit_catalogue(store, principal.tenant_id)
    except StorageError as error:  # the change has taken place: it is noted with the next one
        log.warning("a change of the catalogue is not noted yet", error=str(error))
    return after


def create(store: Store, principal: Principal, kind: str, fields: Fields) -> EntityVersion:
    """Make an entity.

    Raises:
        ApiError: 400 with every fault, 403 or 409.
    """
    fields = {name: value for name, value in modernise_fields(kind, fields).items() if name != "version"}
    fields.setdefault("id", f"{_ID_PREFIXES[kind]}_{secrets.token_hex(8)}")

    def decide(before: StoredCatalogue) -> Sequence[EntityChange]:
        entity = build_entity(kind, _with_key(kind, fields, before))
        if before.find(kind, entity.id) is not None:
            raise ApiError(409, f"The {_words(kind)} {entity.id!r} exists already; change it with PUT or PATCH.")
        return _checked(principal, before, kind, entity)

    return change(store, principal, decide).records[kind][str(fields["id"])]


def replace(
    store: Store, principal: Principal, kind: str, entity_id: str, fields: Fields, expected: int | None
) -> EntityVersion:
    """Replace all of an entity.

    Raises:
        ApiError: 400 with every fault, 403, 404, or 409 if its version is not the expected one.
    """
    fields = {name: value for name, value in modernise_fields(kind, fields).items() if name != "version"}
    if fields.setdefault("id", entity_id) != entity_id:
        raise invalid(Fault(field="id", message=f"is {entity_id!r} in the path; ids do not change"))

    def decide(before: StoredCatalogue) -> Sequence[EntityChange]:
        record = find(before, kind, entity_id, expected)
        kept = {} if record.entity is None else _kept(record.entity)
        return _checked(principal, before, kind, build_entity(kind, _with_key(kind, kept | fields, before)))

    return change(store, principal, decide).records[kind][entity_id]


def patch(
    store: Store, principal: Principal, kind: str, entity_id: str, fields: Fields, expected: int | None
) -> EntityVersion:
    """Change some fields of an entity.

    Raises:
        ApiError: 400 with every fault, 403, 404, or 409 if its version is not the expected one.
    """
    fields = {name: value for name, value in modernise_fields(kind, fields).items() if name != "version"}
    if fields.get("id", entity_id) != entity_id:
        raise invalid(Fault(field="id", message=f"is {entity_id!r} in the path; ids do not change"))

    def decide(before: StoredCatalogue) -> Sequence[EntityChange]:
        record = find(before, kind, entity_id, expected)
        return _checked(
            principal, before, kind, build_entity(kind, apply_merge_patch(to_sparse_fields(readable(record)), fields))
        )

    return change(store, principal, decide).records[kind][entity_id]


def delete(store: Store, principal: Principal, kind: str, entity_id: str, expected: int | None) -> None:
    """End an entity; with an offer its creatives end. Versions stay.

    Raises:
        ApiError: 404, or 409 if its version is not the expected one.
    """

    def decide(before: StoredCatalogue) -> Sequence[EntityChange]:
        record = find(before, kind, entity_id, expected)
        ends = [EntityChange(kind, readable(record), is_deleted=True)]
        if kind == "offer":
            ends += [
                EntityChange("creative", creative, is_deleted=True)
                for creative in before.entities["creative"]
                if getattr(creative, "offer_id", None) == entity_id
            ]
        return ends

    change(store, principal, decide)


def find(
    catalogue: StoredCatalogue, kind: str, entity_id: str, expected: int | None = None, *, or_deleted: bool = False
) -> EntityVersion:
    """Return an entity that exists, or that did where that is enough.

    Raises:
        ApiError: 404, or 409 if its version is not the expected one.
    """
    record = catalogue.records.get(kind, {}).get(entity_id)
    if record is None or (record.is_deleted and not or_deleted):
        raise ApiError(404, f"There is no {_words(kind)} {entity_id!r}.")
    if expected is not None and expected != record.version:
        raise ApiError(
            409,
            f"The {_words(kind)} has changed since: its version is {record.version} now. Read it and change it again.",
            details=[Fault(field="version", message=f"is {record.version} now, not {expected}")],
            headers={"ETag": etag_of(record)},
        )
    return record


def readable(record: EntityVersion) -> Entity:
    """Return the entity of a record.

    Raises:
        ApiError: 409; this release cannot read what is stored.
    """
    if record.entity is None:
        raise ApiError(409, f"What is stored of {record.id!r} cannot be read any more; replace it with PUT.")
    return record.entity


def etag_of(record: EntityVersion) -> str:
    """Return the version as an ETag."""
    return f'"{record.version}"'


def _checked(principal: Principal, before: StoredCatalogue, kind: str, entity: Entity) -> Sequence[EntityChange]:
    """Check an entity and return the change that stores it; nothing if it is stored so already."""
    known = before.find(kind, entity.id)
    if known is not None and known.entity is not None and is_same(known.entity, entity):
        return ()
    flaws = find_faults([(kind, entity)], apply_changes(before.entities, [(kind, entity)]))
    faults = [Fault(field=flaw.field, message=flaw.message) for flaw in flaws if not is_draft_fault(flaw)]
    if isinstance(entity, DecisionFlow):
        _require_right_to_skip(principal, entity, known.entity if known is not None else None)
        if fault := find_size_fault(entity.draft):
            faults.append(Fault(field="draft", message=fault))
    if isinstance(entity, Offer) and entity.mandatory:
        was_mandatory = known is not None and isinstance(known.entity, Offer) and known.entity.mandatory
        if not was_mandatory and not principal.role.includes(Role.ADMIN):
            raise ApiError(403, f"Making an offer mandatory needs a key with role admin; this one is {principal.role}.")
        faults += _faults_of_mandate(entity, has_begun=was_mandatory)
    if faults:
        raise invalid(*faults)
    return [EntityChange(kind, entity)]


def _require_right_to_skip(principal: Principal, flow: DecisionFlow, known: Entity | None) -> None:
    """Rules and policies are written by admins, so that only they may say that a flow goes without."""
    before = known.skip if isinstance(known, DecisionFlow) else ()
    added = sorted({"qualify", "contact_policy"} & set(flow.skip) - set(before))
    if added and not principal.role.includes(Role.ADMIN):
        raise ApiError(
            403, f"Skipping {' and '.join(added)} needs a key with role admin; this one is {principal.role}."
        )


def _faults_of_mandate(offer: Offer, *, has_begun: bool) -> list[Fault]:
    """Check that a mandatory offer, which goes before all others, has a reason and an end."""
    faults = []
    if not offer.mandatory_reason:
        faults.append(Fault(field="mandatoryReason", message="is required of a mandatory offer"))
    ends_at_ms = parse_time(offer.mandatory_expires_at or "")
    if ends_at_ms is None:
        faults.append(
            Fault(field="mandatoryExpiresAt", message="is required of a mandatory offer; 2027-01-31T00:00:00Z")
        )
    elif not has_begun and ends_at_ms <= now_ms():
        faults.append(Fault(field="mandatoryExpiresAt", message="must be a time in the future"))
    return faults


def _kept(entity: Entity) -> Fields:
    """Return the fields that replacing an entity keeps: its key, unless another is given, and its publication."""
    kept: Fields = {"key": key} if (key := getattr(entity, "key", "")) else {}
    if isinstance(entity, DecisionFlow):
        fields = to_sparse_fields(entity)
        kept |= {name: fields[name] for name in ("published", "publishedVersion") if name in fields}
    return kept


def _with_key(kind: str, fields: Fields, before: StoredCatalogue) -> Fields:
    """Fields with a key made of the name, where the kind has keys and none is given."""
    if "key" in fields or "key" not in KINDS[kind].__struct_fields__ or not isinstance(fields.get("name"), str):
        return fields
    taken = {getattr(entity, "key", "") for entity in before.entities[kind]}
    slug = make_slug(fields["name"])
    tries = [slug, *(f"{slug[:90]}-{number}" for number in range(2, len(taken) + 3))]
    return {**fields, "key": next(key for key in tries if key not in taken)}


def _words(kind: str) -> str:
    return kind.replace("_", " ")
