"""Contact profiles: versions of a person's profile, and the objections to contact that follow from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from rapport.domain.placeholders import is_placeholder

MAX_SECONDS: Final = 2**31 - 1
ID_PATTERN: Final = "^[a-z0-9]{24}$"


class ContactProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a contact profile.

    Attributes:
        id: 24 characters, ``^[a-z0-9]{24}$``.
        version: 1 for the first.
        fields: Fields of the person; ``contact_fields`` lists the known ones.
        is_active: Whether lists show the profile and the person may be contacted.
        contact_ids: Ids of the person in other systems.
        project_id: As the caller named it.
        uncollected_since_ms: Start of the ban on collecting personal data; None if there is none.
        ended: deleted, merged or expired; empty while the profile lives.
        changed_at_ms: Time of this version, epoch milliseconds.
        changed_by: Author of this version, as :func:`hash_author` gives it.
    """

    id: str
    version: int = 1
    fields: Mapping[str, Any]
    is_active: bool = True
    contact_ids: tuple[str, ...] = ()
    project_id: str = ""
    uncollected_since_ms: int | None = None
    ended: str = ""
    created_at_ms: int
    created_by: str
    changed_at_ms: int
    changed_by: str

    @property
    def email(self) -> str:
        """E-mail address; empty if there is none."""
        address = self.fields.get("email", "")
        return address if isinstance(address, str) else ""

    @property
    def customer_ids(self) -> tuple[str, ...]:
        """Customers that the profile belongs to; placeholder ids are left out."""
        named = (*self.contact_ids, self.email) if self.email else self.contact_ids
        return tuple(dict.fromkeys(customer_id for customer_id in named if not is_placeholder(customer_id)))

    @property
    def prevents_collection(self) -> bool:
        """True if the person does not want data to be collected."""
        return self.fields.get("prevent_data_collection") is True

    @property
    def objects_to_collection(self) -> bool:
        """True if the stream may store nothing personal of the person."""
        return self.prevents_collection or self.refuses_gdpr

    @property
    def refuses_gdpr(self) -> bool:
        """True if the person refused the GDPR terms; not having been asked is no refusal."""
        return self.fields.get("accepted_gdpr") is False


class ContactObjections(msgspec.Struct, frozen=True, kw_only=True):
    """Objections of a customer's contact profiles to contacting the customer."""

    prevents_collection: bool = False
    refuses_gdpr: bool = False
    is_inactive: bool = False

    def reasons(self) -> tuple[str, ...]:
        """List the reasons why nothing may be recommended; none if it may."""
        objections = (
            (self.prevents_collection, "the customer's contact profile prevents data collection"),
            (self.refuses_gdpr, "the customer's contact profile says that the GDPR terms are not accepted"),
            (self.is_inactive, "the customer's contact profile is not active"),
        )
        return tuple(reason for holds, reason in objections if holds)


NO_OBJECTIONS: Final = ContactObjections()


def hash_author(key_id: str) -> str:
    """Hash an API key's id to 24 characters that stand for the author of a change."""
    return hashlib.sha256(f"contact-profile-author:{key_id}".encode()).hexdigest()[:24]


def make_profile_id(at_ms: int, chance: str) -> str:
    """Make a profile id that ascends with time.

    Args:
        at_ms: Creation time of the profile.
        chance: 16 random characters out of 0-9 and a-f, unique within the second.
    """
    return f"{to_unix_seconds(at_ms):08x}{chance}"


def to_unix_seconds(at_ms: int) -> int:
    """Convert to Unix seconds, clamped to the contract's range of 0 to 2,147,483,647."""
    return min(max(at_ms // 1000, 0), MAX_SECONDS)


def merge_profiles(target: ContactProfile, source: ContactProfile) -> ContactProfile:
    """Return the target with the contact ids, memories and objections of the source.

    The merge is idempotent.
    """
    fields = dict(target.fields)
    memories = list(fields.get("memories", ()))
    known = {msgspec.json.encode(memory, order="deterministic") for memory in memories}
    fresh = [
        memory
        for memory in source.fields.get("memories", ())
        if msgspec.json.encode(memory, order="deterministic") not in known
    ]
    if fresh:
        fields["memories"] = [*memories, *fresh]
    if source.prevents_collection:
        fields["prevent_data_collection"] = True
    if source.refuses_gdpr:
        fields["accepted_gdpr"] = False
    since = [profile.uncollected_since_ms for profile in (target, source) if profile.uncollected_since_ms is not None]
    return msgspec.structs.replace(
        target,
        fields=fields,
        contact_ids=tuple(dict.fromkeys((*target.contact_ids, *source.contact_ids))),
        uncollected_since_ms=min(since, default=None),
    )


def start_profile(profile: ContactProfile) -> ContactProfile:
    """Make the first version of a profile; its objections begin now."""
    since = profile.created_at_ms if profile.objects_to_collection else None
    return msgspec.structs.replace(profile, version=1, uncollected_since_ms=since)


def make_next_version(before: ContactProfile, after: ContactProfile, at_ms: int, author: str) -> ContactProfile:
    """Make the version that follows another; an objection that persists keeps its beginning."""
    since = after.uncollected_since_ms if after.uncollected_since_ms is not None else at_ms
    return msgspec.structs.replace(
        after,
        version=before.version + 1,
        uncollected_since_ms=since if after.objects_to_collection else None,
        changed_at_ms=at_ms,
        changed_by=author,
    )


def end_profile(profile: ContactProfile, how: str, at_ms: int, author: str) -> ContactProfile:
    """Make the last version of a profile, without any data of the person.

    Args:
        profile: Version before.
        how: deleted, merged or expired. One that expires while it objects keeps the objection and its customers.
        at_ms: Epoch milliseconds.
        author: As :func:`hash_author` gives it.
    """
    remaining: dict[str, Any] = {}
    if how == "expired" and (profile.objects_to_collection or not profile.is_active):
        names = ("prevent_data_collection", "accepted_gdpr")
        remaining = {
            "fields": {name: profile.fields[name] for name in names if name in profile.fields},
            "contact_ids": profile.customer_ids,
            "is_active": profile.is_active,
            "uncollected_since_ms": profile.uncollected_since_ms,
        }
    return ContactProfile(
        id=profile.id,
        version=profile.version + 1,
        project_id=profile.project_id,
        created_at_ms=profile.created_at_ms,
        created_by=profile.created_by,
        changed_at_ms=at_ms,
        changed_by=author,
        ended=how,
        **{"fields": {}, **remaining},
    )
