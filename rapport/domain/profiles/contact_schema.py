"""What contact profiles hold, as JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from rapport.domain.profiles.contact_fields import MAX_CONTACT_IDS, ContactId, PersonFields

_REFERENCE: Final = "#/"


def describe_profile() -> dict[str, Any]:
    """A schema of each part: ``profile``, which may have other fields too, ``active`` and ``contactIds``."""
    (person, contact_ids), components = msgspec.json.schema_components(
        [PersonFields, list[ContactId]], ref_template=f"{_REFERENCE}{{name}}"
    )
    return {
        "profile": {**_inlined(person, components), "additionalProperties": True},
        "active": {"type": "boolean"},
        "contactIds": {**contact_ids, "maxItems": MAX_CONTACT_IDS},
    }


def _inlined(schema: Any, components: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a JSON Schema or a part of it
    """The schema with what it refers to in its place, and without what is for programmers."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(components[schema["$ref"].removeprefix(_REFERENCE)], components)
        return {
            name: _inlined(part, components) for name, part in schema.items() if name not in ("title", "description")
        }
    return [_inlined(part, components) for part in schema] if isinstance(schema, list) else schema
