"""Tenants with their settings and outcome types."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from rapport.domain.outcomes import (
    DEFAULT_OUTCOME_TYPES,
    Classification,
    OutcomeCategory,
    OutcomeType,
    derive_name,
    group_versions,
)
from rapport.domain.tenants import Tenant, TenantSettings, find_tenant_id_fault
from rapport.domain.time_zones import list_time_zones

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from rapport.storage.client import Store


MAX_SELECTED: Final = 200
"""Tenants named in one query; more of them are found among all."""


class UnknownTimeZoneError(ValueError):
    """The time zone is not an IANA name."""


class InvalidTenantIdError(ValueError):
    """The id is not a valid tenant id."""


class UnknownTenantError(ValueError):
    """There is no such tenant."""


def create_tenant(store: Store, tenant_id: str, *, name: str = "", time_zone: str = "UTC") -> None:
    """Create a tenant with the default outcome types.

    Creating it again changes its name, and activates an inactive one.

    Raises:
        InvalidTenantIdError: The tenant is new, and its id is not valid.
        UnknownTimeZoneError: ``time_zone`` is not an IANA name.
    """
    if time_zone not in list_time_zones():
        raise UnknownTimeZoneError(f"{time_zone!r} is not an IANA time zone such as Europe/Berlin")
    existing = store.rows("tenants/tenants", {"tenant_ids": [tenant_id]})
    if not existing:
        if fault := find_tenant_id_fault(tenant_id):
            raise InvalidTenantIdError(f"the id of a tenant {fault}; {tenant_id!r} is none")
        store.insert("outcome_types", _default_outcome_frame(tenant_id))
    row = existing[0] if existing else {"tenant_id": tenant_id, "time_zone": time_zone}
    _write_tenant(store, {**row, "name": name or tenant_id, "is_active": True})


def change_tenant(store: Store, tenant_id: str, **settings: float | bool) -> None:
    """Change some of a tenant's settings (the attributes of :class:`TenantSettings`).

    Raises:
        UnknownTenantError: There is no such tenant.
    """
    existing = store.rows("tenants/tenants", {"tenant_ids": [tenant_id]})
    if not existing:
        known = ", ".join(row["tenant_id"] for row in store.rows("tenants/tenants", {"tenant_ids": []}))
        raise UnknownTenantError(f"there is no tenant {tenant_id!r}; known are {known or 'none'}")
    row = existing[0]
    if others := {name: value for name, value in settings.items() if name not in row}:
        _write_settings(store, tenant_id, others)
    if len(others) < len(settings):
        _write_tenant(store, {**row, **{name: value for name, value in settings.items() if name in row}})


def _write_settings(store: Store, tenant_id: str, settings: Mapping[str, float | bool]) -> None:
    """Write settings for which table tenants has no column."""
    if unknown := sorted(settings.keys() - {one.name for one in fields(TenantSettings)}):
        raise TypeError(f"no settings of a tenant: {', '.join(unknown)}")
    values = [msgspec.json.encode(value).decode() for value in settings.values()]
    store.insert(
        "tenant_settings",
        pl.DataFrame({"name": list(settings), "value": values}).with_columns(tenant_id=pl.lit(tenant_id)),
    )


def _write_tenant(store: Store, row: Mapping[str, Any]) -> None:
    types = {"requests_per_minute": pl.UInt32, "decision_quota": pl.UInt64, "is_active": pl.Boolean}
    frame = pl.DataFrame([row], schema_overrides={**types, "is_catalogue_strict": pl.Boolean})
    store.insert("tenants", frame)


def load_tenants(store: Store) -> Mapping[str, Tenant]:
    """Load every active tenant with its outcome types."""
    return TenantReader().read(store)


class TenantReader:
    """Reads all active tenants again and again, and of those that it has read before only what has changed.

    Not thread-safe.
    """

    def __init__(self) -> None:
        self._fingerprints: Mapping[str, int] = {}
        self._tenants: Mapping[str, Tenant] = {}

    def read(self, store: Store) -> Mapping[str, Tenant]:
        """Read every active tenant with its outcome types."""
        fingerprints: dict[str, int] = dict(store.select("tenants/fingerprints").iter_rows())
        changed = {
            tenant_id
            for tenant_id, fingerprint in fingerprints.items()
            if self._fingerprints.get(tenant_id) != fingerprint
        }
        if changed or fingerprints.keys() != self._fingerprints.keys():
            kept = {
                tenant_id: tenant
                for tenant_id, tenant in self._tenants.items()
                if tenant_id in fingerprints and tenant_id not in changed
            }
            loaded = _load(store, changed) if changed else {}
            self._tenants, self._fingerprints = dict(sorted({**kept, **loaded}.items())), fingerprints
        return self._tenants


def _load(store: Store, tenant_ids: Collection[str]) -> Mapping[str, Tenant]:
    """Load those of some tenants that are active."""
    which = {"tenant_ids": sorted(tenant_ids) if len(tenant_ids) <= MAX_SELECTED else []}
    outcome_types: dict[str, list[OutcomeType]] = {}
    for row in store.rows("tenants/outcome_types", which):
        outcome_types.setdefault(row["tenant_id"], []).append(
            OutcomeType(
                key=row["key"],
                classification=Classification(row["classification"]),
                category=OutcomeCategory(row["category"]),
                is_conversion=bool(row["is_conversion"]),
                allows_negative_value=bool(row["allows_negative_value"]),
                effective_at_ms=row["effective_at_ms"],
                is_active=bool(row["is_active"]),
            )
        )
    others: dict[str, dict[str, Any]] = {}
    for row in store.rows("tenants/settings", which):
        if row["name"] in TenantSettings.__slots__:
            others.setdefault(row["tenant_id"], {})[row["name"]] = msgspec.json.decode(row["value"])
    return {
        row["tenant_id"]: Tenant(
            row["tenant_id"],
            row["name"],
            row["time_zone"],
            group_versions(outcome_types.get(row["tenant_id"], DEFAULT_OUTCOME_TYPES)),
            TenantSettings(
                requests_per_minute=row["requests_per_minute"],
                is_catalogue_strict=bool(row["is_catalogue_strict"]),
                decision_quota=row["decision_quota"],
                **others.get(row["tenant_id"], {}),
            ),
        )
        for row in store.rows("tenants/tenants", which)
        if row["is_active"] and row["tenant_id"] in tenant_ids
    }


def load_time_zones(store: Store) -> Mapping[str, str]:
    """Load the time zone of every active tenant."""
    return {row["tenant_id"]: row["time_zone"] for row in store.rows("tenants/time_zones")}


def _default_outcome_frame(tenant_id: str) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "tenant_id": tenant_id,
                "key": outcome_type.key,
                "version": 1,
                "name": derive_name(outcome_type.key),
                "classification": outcome_type.classification.value,
                "category": outcome_type.category.value,
                "is_conversion": outcome_type.is_conversion,
                "allows_negative_value": outcome_type.allows_negative_value,
                "is_system": True,
                "ordinal": ordinal,
                "effective_at": 0,
            }
            for ordinal, outcome_type in enumerate(DEFAULT_OUTCOME_TYPES)
        ],
        schema_overrides={"version": pl.UInt32, "ordinal": pl.UInt32, "effective_at": pl.Datetime("ms", "UTC")},
    )
