"""Makes, reads, changes, merges and ends contact profiles."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from api.http.errors import ApiError, invalid
from rapport.domain.faults import Fault
from rapport.domain.periods import DAY_MS
from rapport.domain.profiles.contact import (
    ContactProfile,
    end_profile,
    hash_author,
    make_next_version,
    make_profile_id,
    merge_profiles,
    start_profile,
)
from rapport.domain.profiles.contact_fields import check_fields, check_names, merge_patch
from rapport.storage.contact_profiles import (
    ContestedProfileError,
    StoredProfile,
    append_profile,
    change_profile,
    list_profiles,
    note_reads,
    read_profiles,
    remove_ended,
)

if TYPE_CHECKING:
    from api.contact_profiles.schemas import ChangedContactProfile, NewContactProfile
    from rapport.storage.contact_profiles import ProfilePage
    from rapport.storage.database import Database

MAX_MERGES: Final = 20


class ContactProfileService:
    """The contact profiles of every tenant.

    Args:
        database: Where they are.
        clock: Epoch milliseconds.
        retention_days: Profiles that are not read or changed for so long expire; 0 for never.
    """

    def __init__(self, database: Database, clock: Callable[[], int], retention_days: float) -> None:
        self._database = database
        self._clock = clock
        self._retention_ms = int(retention_days * DAY_MS)
        self._reads: dict[tuple[str, str], int] = {}

    async def create(self, tenant_id: str, key_id: str, body: NewContactProfile) -> ContactProfile:
        """Make a profile.

        Raises:
            ApiError: 400; naming every fault of its fields.
        """
        _require_names(body.profile, body.contact_ids)
        _require_sound(body.profile, body.contact_ids)
        now_ms, author = self._clock(), hash_author(key_id)
        profile = start_profile(
            ContactProfile(
                id=make_profile_id(now_ms, secrets.token_hex(8)),
                fields=body.profile,
                is_active=body.active,
                contact_ids=tuple(dict.fromkeys(body.contact_ids)),
                project_id=body.project_id or "",
                created_at_ms=now_ms,
                created_by=author,
                changed_at_ms=now_ms,
                changed_by=author,
            )
        )
        await self._database.call(append_profile, tenant_id, profile)
        return profile

    async def get(self, tenant_id: str, profile_id: str) -> ContactProfile:
        """Return a profile, and note the read.

        Raises:
            ApiError: 404; there is none, or it has ended or expired.
        """
        for found in await self._database.call(read_profiles, tenant_id, [profile_id]):
            if self._lives(tenant_id, found):
                self._note([found.profile.id], tenant_id)
                return found.profile
        raise _missing(profile_id)

    async def list(self, tenant_id: str, *, limit: int, before_id: str, filters: Mapping[str, str]) -> ProfilePage:
        """Return a page of profiles, and note the reads."""
        page = await self._database.call(
            list_profiles,
            tenant_id,
            touched_since_ms=self._expires_before_ms(),
            limit=limit,
            before_id=before_id,
            **filters,
        )
        self._note((one.profile.id for one in page.profiles), tenant_id)
        return page

    async def patch(self, tenant_id: str, key_id: str, profile_id: str, body: ChangedContactProfile) -> ContactProfile:
        """Change a profile.

        Raises:
            ApiError: 400 for faults of the result, 404 if there is none, 409 if concurrent changes do not end.
        """

        def change(found: StoredProfile) -> ContactProfile | None:
            if not self._lives(tenant_id, found):
                return None
            before = found.profile
            _require_names(body.profile, body.contact_ids or ())
            fields = merge_patch(before.fields, body.profile)
            contact_ids = before.contact_ids if body.contact_ids is None else tuple(dict.fromkeys(body.contact_ids))
            _require_sound(fields, contact_ids)
            after = msgspec.structs.replace(
                before,
                fields=fields,
                contact_ids=contact_ids,
                is_active=before.is_active if body.active is None else body.active,
            )
            return make_next_version(before, after, self._clock(), hash_author(key_id))

        return await self._change(tenant_id, profile_id, change)

    async def delete(self, tenant_id: str, key_id: str, profile_id: str) -> None:
        """End a profile and remove its data.

        Raises:
            ApiError: 404 if there is none, 409 if others keep changing it.
        """

        def finish(found: StoredProfile) -> ContactProfile | None:
            is_there = self._lives(tenant_id, found)
            return end_profile(found.profile, "deleted", self._clock(), hash_author(key_id)) if is_there else None

        await self._change(tenant_id, profile_id, finish)
        await self._database.call(remove_ended, tenant_id, [profile_id])

    async def merge(self, tenant_id: str, key_id: str, profile_id: str, source_id: str) -> ContactProfile:
        """Take another profile's contact ids, memories and objections in, and end it.

        A repetition completes a merge that a crash interrupted: merging twice is merging once.

        Raises:
            ApiError: 400 if both are one, or would be too much for one; 404 if one is not there; 409 if others keep
                changing them.
        """
        if profile_id == source_id:
            raise invalid(Fault(field="sourceId", message="must be another profile"))
        source = await self.get(tenant_id, source_id)

        def take_in(found: StoredProfile) -> ContactProfile | None:
            if not self._lives(tenant_id, found):
                return None
            after = merge_profiles(found.profile, source)
            _require_sound(after.fields, after.contact_ids)
            return make_next_version(found.profile, after, self._clock(), hash_author(key_id))

        def finish(found: StoredProfile) -> ContactProfile | None:
            nonlocal source
            if found.profile.version != source.version:
                source = found.profile
                return None
            return end_profile(source, "merged", self._clock(), hash_author(key_id))

        for _ in range(MAX_MERGES):
            merged = await self._change(tenant_id, profile_id, take_in)
            taken = source.version
            try:
                await self._change(tenant_id, source_id, finish)
            except ApiError:
                if source.version == taken:
                    raise
                continue  # it was changed meanwhile: that belongs to the target, too
            await self._database.call(remove_ended, tenant_id, [source_id])
            return merged
        raise _contested()

    async def note_reads(self) -> None:
        """Write the times of reads since the last call."""
        reads, self._reads = self._reads, {}
        try:
            await self._database.call(note_reads, reads)
        except BaseException:
            self._reads = {**reads, **self._reads}
            raise

    async def _change(
        self, tenant_id: str, profile_id: str, change: Callable[[StoredProfile], ContactProfile | None]
    ) -> ContactProfile:
        try:
            changed = await self._database.call(change_profile, tenant_id, profile_id, change)
        except ContestedProfileError:
            raise _contested() from None
        if changed is None:
            raise _missing(profile_id)
        return changed

    def _lives(self, tenant_id: str, found: StoredProfile) -> bool:
        touched_at_ms = max(found.touched_at_ms, self._reads.get((tenant_id, found.profile.id), 0))
        return not found.profile.ended and touched_at_ms >= self._expires_before_ms()

    def _expires_before_ms(self) -> int:
        return self._clock() - self._retention_ms if self._retention_ms else 0

    def _note(self, profile_ids: Iterable[str], tenant_id: str) -> None:
        now_ms = self._clock()
        self._reads.update({(tenant_id, one): now_ms for one in profile_ids})


def _require_names(fields: Mapping[str, Any], contact_ids: Iterable[str]) -> None:
    if faults := check_names(fields.get("email"), list(contact_ids)):
        raise invalid(*faults)


def _require_sound(fields: Mapping[str, Any], contact_ids: Iterable[str]) -> None:
    if faults := check_fields(fields, list(contact_ids)):
        raise invalid(*faults)


def _missing(profile_id: str) -> ApiError:
    return ApiError(404, f"There is no contact profile {profile_id!r}.")


def _contested() -> ApiError:
    return ApiError(409, "The profile is being changed by others; try again.")
