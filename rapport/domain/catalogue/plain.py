"""Entities as plain JSON and YAML values."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any

import msgspec


def to_full_fields(value: Any) -> Any:  # noqa: ANN401 - an entity, or whatever is in it
    """Convert an entity to plain values with every field, defaults included; sequences become lists."""
    if isinstance(value, msgspec.Struct):
        return {field.encode_name: to_full_fields(getattr(value, field.name)) for field in _fields_of(type(value))}
    if isinstance(value, Mapping):
        return {name: to_full_fields(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [to_full_fields(inner) for inner in value]
    return value.value if isinstance(value, Enum) else value


def to_sparse_fields(value: Any) -> Any:  # noqa: ANN401 - likewise
    """Convert an entity to plain values without the fields that have their defaults, at any depth."""
    if isinstance(value, msgspec.Struct):
        return {
            field.encode_name: to_sparse_fields(getattr(value, field.name))
            for field in _fields_of(type(value))
            if field.required or to_full_fields(getattr(value, field.name)) != to_full_fields(_read_default(field))
        }
    if isinstance(value, Mapping):
        return {name: to_sparse_fields(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [to_sparse_fields(inner) for inner in value]
    return value.value if isinstance(value, Enum) else value


_fields_of = cache(msgspec.structs.fields)
"""Fields of a struct type, cached: the library computes them anew each time."""


def _read_default(field: msgspec.structs.FieldInfo) -> Any:  # noqa: ANN401 - of whatever type the field has
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
