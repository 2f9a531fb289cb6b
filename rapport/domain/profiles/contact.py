"""Contact profiles: what is kept of a person, and what that person lets be done."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from rapport.domain.placeholders import is_placeholder

MAX_SECONDS: Final = 2**31 - 1
ID_PATTERN: Final = "^[a-z0-9]{24}$"


class ContactProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a profile.

    Attributes:
        id: 24 characters, ``^[a-z0-9]{24}$``.
        version: 1 for the first.
        fields: Of the person; the known ones as in ``contact_fields``.
        is_active: Whether lists show it and the person may be addressed.
        contact_ids: How the person is known.
        project_id: As the caller named it.
        uncollected_since_ms: Since when nothing personal may be collected; None if it may.
        ended: deleted, merged or expired; empty while the profile lives.
        changed_at_ms: When this version was made, epoch milliseconds.
        changed_by: Who made it, as :func:`hash_author`.
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
        """The e-mail address; empty if there is none."""
        address = self.fields.get("email", "")
        return address if isinstance(address, str) else ""

    @property
    def customer_ids(self) -> tuple[str, ...]:
        """The customers that the profile speaks for; an id that names nobody is none."""
        named = (*self.contact_ids, self.email) if self.email else self.contact_ids
        return tuple(dict.fromkeys(one for one in named if not is_placeholder(one)))

    @property
    def prevents_collection(self) -> bool:
        """Whether the person does not want data to be collected."""
        return self.fields.get("prevent_data_collection") is True

    @property
    def objects_to_collection(self) -> bool:
        """Whether the stream may keep nothing personal of the person."""
        return self.prevents_collection or self.refuses_gdpr

    @property
    def refuses_gdpr(self) -> bool:
        """Whether the person has said no; not having been asked is no refusal."""
        return self.fields.get("accepted_gdpr") is False


class ContactObjections(msgspec.Struct, frozen=True, kw_only=True):
    """What contact profiles say against addressing a customer."""

    prevents_collection: bool = False
    refuses_gdpr: bool = False
    is_inactive: bool = False

    def reasons(self) -> tuple[str, ...]:
        """Why nothing may be recommended; empty if it may."""
        said = (
            (self.prevents_collection, "the customer's contact profile prevents data collection"),
            (self.refuses_gdpr, "the customer's contact profile says that the GDPR terms are not accepted"),
            (self.is_inactive, "the customer's contact profile is not active"),
        )
        return tuple(reason for holds, reason in said if holds)


NO_OBJECTIONS: Final = ContactObjections()


def hash_author(key_id: str) -> str:
    """24 characters that stand for an API key; for ever the same ones."""
    return hashlib.sha256(f"contact-profile-author:{key_id}".encode()).hexdigest()[:24]


def make_profile_id(at_ms: int, chance: str) -> str:
    """An id that ascends with time.

    Args:
        at_ms: When the profile is made.
        chance: 16 characters out of 0-9 and a-f that nobody has had in this second.
    """
    return f"{to_unix_seconds(at_ms):08x}{chance}"


def to_unix_seconds(at_ms: int) -> int:
    """Unix seconds within what the contract allows, 0 to 2,147,483,647."""
    return min(max(at_ms // 1000, 0), MAX_SECONDS)


def merge_profiles(target: ContactProfile, source: ContactProfile) -> ContactProfile:
    """The target with what a merge takes from the source: contact ids, memories, and objections.

    Doing it twice is doing it once.
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
    since = [one.uncollected_since_ms for one in (target, source) if one.uncollected_since_ms is not None]
    return msgspec.structs.replace(
        target,
        fields=fields,
        contact_ids=tuple(dict.fromkeys((*target.contact_ids, *source.contact_ids))),
        uncollected_since_ms=min(since, default=None),
    )


def start_profile(profile: ContactProfile) -> ContactProfile:
    """A first version: what it objects to, it objects to from now on."""
    since = profile.created_at_ms if profile.objects_to_collection else None
    return msgspec.structs.replace(profile, version=1, uncollected_since_ms=since)


def make_next_version(before: ContactProfile, after: ContactProfile, at_ms: int, author: str) -> ContactProfile:
    """The version that comes after another: an objection that goes on began when it began."""
    since = after.uncollected_since_ms if after.uncollected_since_ms is not None else at_ms
    return msgspec.structs.replace(
        after,
        version=before.version + 1,
        uncollected_since_ms=since if after.objects_to_collection else None,
        changed_at_ms=at_ms,
        changed_by=author,
    )


def end_profile(profile: ContactProfile, how: str, at_ms: int, author: str) -> ContactProfile:
    """The last version of a profile: nothing of the person is left in it.

    Args:
        profile: As it was.
        how: deleted, merged or expired. One that expires while it objects keeps the objection and whom it is about.
        at_ms: When.
        author: Who ends it.
    """
    kept: dict[str, Any] = {}
    if how == "expired" and (profile.objects_to_collection or not profile.is_active):
        names = ("prevent_data_collection", "accepted_gdpr")
        kept = {
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
        **{"fields": {}, **kept},
    )
