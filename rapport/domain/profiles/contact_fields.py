"""The fields of a contact profile: which are known, what they may hold, how they are changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

from rapport.domain.faults import Fault
from rapport.domain.numbers import BEYOND, is_exact
from rapport.domain.placeholders import explain_placeholder

MAX_DEPTH: Final = 16
MAX_CONTACT_IDS: Final = 1_000

Text = Annotated[str, msgspec.Meta(max_length=10_000)]
ContactId = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class Memory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something to remember of a person.

    Attributes:
        timestamp: When it was noted, ISO 8601.
    """

    id: Annotated[str, msgspec.Meta(max_length=255)]
    timestamp: Annotated[str, msgspec.Meta(max_length=64)]
    text: Text


class PersonFields(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a profile that are known; every profile may have others.

    Attributes:
        prevent_data_collection: True: the stream keeps nothing personal of this person, and nothing is recommended.
        accepted_gdpr: False stops the same.
        privacy_policy: What the person agreed to.
        tasks: Goals that the person has reached.
        memories: What is to be remembered.
        profilepic: Address of a picture.
    """

    prevent_data_collection: bool | msgspec.UnsetType = msgspec.UNSET
    accepted_gdpr: bool | msgspec.UnsetType = msgspec.UNSET
    privacy_policy: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    tasks: list[Text] | msgspec.UnsetType = msgspec.UNSET
    memories: list[Memory] | msgspec.UnsetType = msgspec.UNSET
    firstname: Text | msgspec.UnsetType = msgspec.UNSET
    lastname: Text | msgspec.UnsetType = msgspec.UNSET
    email: Annotated[str, msgspec.Meta(max_length=255)] | msgspec.UnsetType = msgspec.UNSET
    profilepic: Text | msgspec.UnsetType = msgspec.UNSET


def check_fields(fields: Mapping[str, Any], contact_ids: Sequence[Any]) -> list[Fault]:
    """Everything that is wrong with the fields and the contact ids of a profile."""
    faults = [
        Fault(f"profile.{name}", message)
        for name, kind in _KNOWN.items()
        if name in fields and (message := _why_not(fields[name], kind))
    ]
    faulty = {fault.field for fault in faults}
    for name, value in fields.items():
        if f"profile.{name}" not in faulty and (message := next(_faults_of(value, 1), "")):
            faults.append(Fault(f"profile.{name}", message))
    if any(not 1 <= len(name) <= 255 for name in fields):
        faults.append(Fault("profile", "names of fields have 1 to 255 characters"))
    if message := _why_not(list(contact_ids), list[ContactId]):
        faults.append(Fault("contactIds", message))
    elif len(contact_ids) > MAX_CONTACT_IDS:
        faults.append(Fault("contactIds", f"has {len(contact_ids):,} items; {MAX_CONTACT_IDS:,} are allowed"))
    return faults


def check_names(email: object, contact_ids: Sequence[str]) -> list[Fault]:
    """Say which of the names that a request gives a person names nobody; what a profile has from before may stay."""
    named = {"profile.email": email, **{f"contactIds[{number}]": one for number, one in enumerate(contact_ids)}}
    return [
        Fault(field, why)
        for field, text in named.items()
        if isinstance(text, str) and text and (why := explain_placeholder(text))
    ]


def merge_patch(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Apply a JSON merge patch (RFC 7396): what is null goes, objects are merged, everything else replaces."""
    merged = dict(target)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            before = merged.get(name)
            merged[name] = merge_patch(before if isinstance(before, Mapping) else {}, value)
        else:
            merged[name] = value
    return merged


def _kinds() -> Mapping[str, Any]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(PersonFields)}


_KNOWN: Final = _kinds()


def _why_not(value: object, kind: Any) -> str:  # noqa: ANN401 - any type a field may have
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as fault:
        return str(fault)
    return ""


def _faults_of(value: object, depth: int) -> Iterator[str]:
    """What is wrong with a value, however deep inside it is."""
    if depth > MAX_DEPTH:
        yield f"is nested deeper than {MAX_DEPTH} levels"
    elif isinstance(value, int | float) and not is_exact(value):
        yield BEYOND
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _faults_of(inner, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _faults_of(inner, depth + 1)
