"""Fields of a contact profile: the known ones, their validation, and merge patches."""

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
    """Note about a person.

    Attributes:
        timestamp: Time of the note, ISO 8601.
    """

    id: Annotated[str, msgspec.Meta(max_length=255)]
    timestamp: Annotated[str, msgspec.Meta(max_length=64)]
    text: Text


class PersonFields(msgspec.Struct, frozen=True, kw_only=True):
    """Known fields of a profile; every profile may have others.

    Attributes:
        prevent_data_collection: True: the stream stores nothing personal of this person, and nothing is recommended.
        accepted_gdpr: False has the same effect.
        privacy_policy: The policy that the person agreed to.
        tasks: Goals that the person has reached.
        memories: Notes about the person.
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
    """Find every fault in the fields and contact ids of a profile."""
    faults = [
        Fault(f"profile.{name}", message)
        for name, kind in _KNOWN.items()
        if name in fields and (message := _find_type_fault(fields[name], kind))
    ]
    faulty = {fault.field for fault in faults}
    for name, value in fields.items():
        if f"profile.{name}" not in faulty and (message := next(_find_value_faults(value, 1), "")):
            faults.append(Fault(f"profile.{name}", message))
    if any(not 1 <= len(name) <= 255 for name in fields):
        faults.append(Fault("profile", "names of fields have 1 to 255 characters"))
    if message := _find_type_fault(list(contact_ids), list[ContactId]):
        faults.append(Fault("contactIds", message))
    elif len(contact_ids) > MAX_CONTACT_IDS:
        faults.append(Fault("contactIds", f"has {len(contact_ids):,} items; {MAX_CONTACT_IDS:,} are allowed"))
    return faults


def check_names(email: object, contact_ids: Sequence[str]) -> list[Fault]:
    """Find e-mail addresses and contact ids of a request that are placeholders; stored ones may stay."""
    named = {
        "profile.email": email,
        **{f"contactIds[{number}]": contact_id for number, contact_id in enumerate(contact_ids)},
    }
    return [
        Fault(field, message)
        for field, text in named.items()
        if isinstance(text, str) and text and (message := explain_placeholder(text))
    ]


def merge_patch(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Apply a JSON merge patch (RFC 7396): null removes a member, objects merge, everything else replaces."""
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


def _list_types() -> Mapping[str, Any]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(PersonFields)}


_KNOWN: Final = _list_types()


def _find_type_fault(value: object, kind: Any) -> str:  # noqa: ANN401 - any type a field may have
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as fault:
        return str(fault)
    return ""


def _find_value_faults(value: object, depth: int) -> Iterator[str]:
    """List the faults of a value, however deep inside it they are."""
    if depth > MAX_DEPTH:
        yield f"is nested deeper than {MAX_DEPTH} levels"
    elif isinstance(value, int | float) and not is_exact(value):
        yield BEYOND
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _find_value_faults(inner, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _find_value_faults(inner, depth + 1)
