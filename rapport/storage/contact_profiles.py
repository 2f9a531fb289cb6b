"""Contact profiles: versions, reads, expiry, and the objections that follow from them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from rapport.domain.addresses import fold_address
from rapport.domain.json_limits import decode_stored_object
from rapport.domain.profiles.contact import NO_OBJECTIONS, ContactObjections, ContactProfile, end_profile
from rapport.storage.state_gaps import announce_change

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from rapport.storage.client import Store

MAX_ATTEMPTS: Final = 20
ANY: Final = ""
_MILLIS: Final = pl.Datetime("ms", "UTC")
_TYPES: Final[dict[str, Any]] = {
    "version": pl.UInt32,
    "contact_ids": pl.List(pl.String),
    "customer_ids": pl.List(pl.String),
    "uncollected_since": _MILLIS,
    "created_at": _MILLIS,
    "changed_at": _MILLIS,
}


class ContestedProfileError(Exception):
    """Other writers changed a profile before each of our attempts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProfile:
    """Newest version of a contact profile.

    Attributes:
        touched_at_ms: Time of the last read or change, epoch milliseconds.
    """

    profile: ContactProfile
    touched_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePage:
    """One page of a list of contact profiles.

    Attributes:
        profiles: The newest first.
        total: Number of profiles on all pages.
        has_more: Whether another page follows.
    """

    profiles: Sequence[StoredProfile]
    total: int
    has_more: bool


def read_profiles(store: Store, tenant_id: str, profile_ids: Collection[str]) -> list[StoredProfile]:
    """Read profiles by their ids, the newest first, ended ones included."""
    found = store.rows("contact_profiles/newest", {"tenant_id": tenant_id, "profile_ids": list(profile_ids)})
    return [_profile_from_row(row) for row in found]


def list_profiles(
    store: Store,
    tenant_id: str,
    *,
    touched_since_ms: int,
    limit: int,
    before_id: str = "",
    contact_id: str = ANY,
    email: str = ANY,
    project_id: str = ANY,
    activity: str = ANY,
) -> ProfilePage:
    """Read one page of the profiles that have not ended.

    Args:
        store: The database.
        tenant_id: The tenant.
        touched_since_ms: Profiles neither read nor changed since then count as expired.
        limit: Profiles per page.
        before_id: The last profile of the page before.
        contact_id: One of the contact ids.
        email: The address; its case does not matter.
        project_id: The project as the caller named it.
        activity: active or inactive.
    """
    (row,) = store.rows(
        "contact_profiles/page",
        {
            "tenant_id": tenant_id,
            "touched_since": _format_time(touched_since_ms),
            "limit": limit + 1,
            "before_id": before_id,
            "contact_id": contact_id,
            "email": email,
            "project_id": project_id,
            "activity": activity,
        },
    )
    ids = row["profile_ids"]
    shown = read_profiles(store, tenant_id, ids[:limit]) if ids else []
    return ProfilePage(
        profiles=[one for one in shown if not one.profile.ended], total=row["total"], has_more=len(ids) > limit
    )


def append_profile(store: Store, tenant_id: str, profile: ContactProfile, before: ContactProfile | None = None) -> bool:
    """Write a version of a profile.

    Args:
        store: The database.
        tenant_id: The tenant.
        profile: The version.
        before: The version before, if there is one: its customers change, too.

    Returns:
        False if another writer stored a version with this number before; nothing has changed then.
    """
    change_id = uuid.uuid4().hex
    row = _to_row(tenant_id, profile, change_id)
    store.insert("contact_profile_versions", pl.DataFrame([row], schema_overrides=_TYPES))
    announce_change(
        store, tenant_id, "contact profiles", {*profile.customer_ids, *(before.customer_ids if before else ())}
    )
    parameters = {"tenant_id": tenant_id, "profile_id": profile.id, "version": profile.version}
    first = store.rows("contact_profiles/stored_first", parameters)
    return bool(first) and first[0]["change_id"] == change_id


def change_profile(
    store: Store, tenant_id: str, profile_id: str, change: Callable[[StoredProfile], ContactProfile | None]
) -> ContactProfile | None:
    """Change a profile; ``change`` is called again, with the newer state, whenever another change came first.

    Args:
        store: The database.
        tenant_id: The tenant.
        profile_id: The profile.
        change: Returns the version after the newest; None to leave the profile unchanged.

    Returns:
        The version that was written; None if there is no such profile or it was left unchanged.

    Raises:
        ContestedProfileError: Other writers came first :data:`MAX_ATTEMPTS` times.
    """
    for _ in range(MAX_ATTEMPTS):
        found = read_profiles(store, tenant_id, [profile_id])
        after = change(found[0]) if found and not found[0].profile.ended else None
        if after is None:
            return None
        if append_profile(store, tenant_id, after, found[0].profile):
            return after
    raise ContestedProfileError(f"{profile_id} was changed by others {MAX_ATTEMPTS} times in a row")


def remove_ended(store: Store, tenant_id: str, profile_ids: Collection[str]) -> None:
    """Delete the contents of profiles that have ended."""
    store.command("contact_profiles/remove_ended", {"tenant_id": tenant_id, "profile_ids": list(profile_ids)})


def expire_profiles(store: Store, *, untouched_since_ms: int, now_ms: int, author: str) -> int:
    """End all tenants' profiles that were not read or changed since a time, and delete the contents of ended ones.

    Returns:
        Number of profiles ended.
    """
    ended: dict[str, list[str]] = {}
    for row in store.rows("contact_profiles/untouched", {"touched_since": _format_time(untouched_since_ms)}):
        ended.setdefault(row["tenant_id"], []).append(row["profile_id"])

    def lapse(found: StoredProfile) -> ContactProfile | None:
        is_untouched = found.touched_at_ms < untouched_since_ms
        return end_profile(found.profile, "expired", now_ms, author) if is_untouched else None

    count = 0
    for tenant_id, profile_ids in ended.items():
        count += sum(change_profile(store, tenant_id, one, lapse) is not None for one in profile_ids)
    for row in store.rows("contact_profiles/remains"):
        remove_ended(store, row["tenant_id"], row["profile_ids"])
    return count


def note_reads(store: Store, reads: Mapping[tuple[str, str], int]) -> None:
    """Record when profiles were last read: epoch milliseconds by tenant and profile id."""
    rows = [
        {"tenant_id": tenant_id, "profile_id": profile_id, "last_read_at": at_ms}
        for (tenant_id, profile_id), at_ms in reads.items()
    ]
    store.insert("contact_profile_reads", pl.DataFrame(rows, schema_overrides={"last_read_at": _MILLIS}))


def read_uncollected_customers(store: Store) -> Mapping[tuple[str, str], int]:
    """Read the customers of whom no personal data may be collected: since when (epoch ms), by tenant and customer id.

    Addresses are folded (:func:`~rapport.domain.addresses.fold_address`).
    """
    rows = store.select("contact_profiles/uncollected")
    if rows.is_empty():
        return {}
    columns = (rows[name].to_list() for name in ("tenant_id", "customer_id", "since_ms"))
    return {(tenant_id, customer_id): since for tenant_id, customer_id, since in zip(*columns, strict=True)}


def read_objections(store: Store, customers: Sequence[tuple[str, str]]) -> list[ContactObjections]:
    """Read the objections of contact profiles to contacting customers, each named by tenant and id; in their order."""
    parameters = {
        "tenant_ids": sorted({tenant_id for tenant_id, _ in customers}),
        "customer_ids": sorted({fold_address(customer_id) for _, customer_id in customers}),
    }
    found = {
        (row["tenant_id"], row["customer_id"]): ContactObjections(
            prevents_collection=bool(row["prevents_collection"]),
            refuses_gdpr=bool(row["refuses_gdpr"]),
            is_inactive=bool(row["is_inactive"]),
        )
        for row in store.rows("contact_profiles/objections", parameters)
    }
    return [found.get((tenant_id, fold_address(customer_id)), NO_OBJECTIONS) for tenant_id, customer_id in customers]


def find_profiles_of_customers(store: Store, tenant_id: str, customer_ids: Collection[str]) -> list[StoredProfile]:
    """Find the profiles that name customers, the newest first; expired ones that are not yet removed are among them."""
    parameters = {"tenant_id": tenant_id, "customer_ids": [fold_address(one) for one in customer_ids]}
    ids = [row["profile_id"] for row in store.rows("contact_profiles/of_customers", parameters)]
    return read_profiles(store, tenant_id, ids) if ids else []


def find_named_along(store: Store, tenant_id: str, customer_ids: Collection[str]) -> set[str]:
    """Find the customers whose objections change when the profiles of some customers go: those, and whom they name."""
    folded = [fold_address(customer_id) for customer_id in customer_ids]
    rows = store.rows("contact_profiles/named_along", {"tenant_id": tenant_id, "customer_ids": folded})
    return {*customer_ids, *(row["customer_id"] for row in rows)}


def remove_customers(store: Store, tenant_id: str, customer_ids: Collection[str]) -> None:
    """Delete every profile that has ever named some customers, and its objections: for erasure."""
    changed = find_named_along(store, tenant_id, customer_ids)
    store.command("contact_profiles/remove_customer", {"tenant_id": tenant_id, "customer_ids": list(customer_ids)})
    announce_change(store, tenant_id, "contact profiles", changed)


def _to_row(tenant_id: str, profile: ContactProfile, change_id: str) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "profile_id": profile.id,
        "version": profile.version,
        "change_id": change_id,
        "project_id": profile.project_id,
        "profile": msgspec.json.encode(profile.fields).decode(),
        "contact_ids": list(profile.contact_ids),
        "customer_ids": list(profile.customer_ids),
        "email": profile.email,
        "is_active": profile.is_active,
        "prevents_collection": profile.prevents_collection,
        "refuses_gdpr": profile.refuses_gdpr,
        "uncollected_since": profile.uncollected_since_ms,
        "ended": profile.ended,
        "created_at": profile.created_at_ms,
        "created_by": profile.created_by,
        "changed_at": profile.changed_at_ms,
        "changed_by": profile.changed_by,
    }


def _profile_from_row(row: Mapping[str, Any]) -> StoredProfile:
    profile = ContactProfile(
        id=row["profile_id"],
        version=row["version"],
        fields=decode_stored_object(row["profile"]),
        is_active=row["is_active"],
        contact_ids=tuple(row["contact_ids"]),
        project_id=row["project_id"],
        uncollected_since_ms=row["uncollected_since_ms"],
        ended=row["ended"],
        created_at_ms=row["created_at_ms"],
        created_by=row["created_by"],
        changed_at_ms=row["changed_at_ms"],
        changed_by=row["changed_by"],
    )
    return StoredProfile(profile=profile, touched_at_ms=max(row["changed_at_ms"], row["last_read_at_ms"]))


def _format_time(at_ms: int) -> str:
    return datetime.fromtimestamp(max(at_ms, 0) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
