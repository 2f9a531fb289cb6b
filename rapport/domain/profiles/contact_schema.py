"""JSON Schema of contact profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from rapport.domain.profiles.contact_fields import MAX_CONTACT_IDS, ContactId, PersonFields

_REFERENCE: Final = "#/"


def describe_profile() -> dict[str, Any]:
    """Return the schemas of ``profile``, which may have other fields too, ``active`` and ``contactIds``."""
    (person, contact_ids), components = msgspec.json.schema_components(
        [PersonFields, list[ContactId]], ref_template=f"{_REFERENCE}{{name}}"
    )
    return {
        "profile": {**_inline_references(person, components), "additionalProperties": True},
        "active": {"type": "boolean"},
        "contactIds": {**contact_ids, "maxItems": MAX_CONTACT_IDS},
    }


def _inline_references(schema: Any, components: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a JSON Schema or a part of it
    """Replace references by what they name, and leave out titles and descriptions, which are for programmers."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inline_references(components[schema["$ref"].removeprefix(_REFERENCE)], components)
        return {
            name: _inline_references(part, components)
            for name, part in schema.items()
            if name not in ("title", "description")
        }
    return [_inline_references(part, components) for part in schema] if isinstance(schema, list) else schema
