"""Type checks of values in catalogue files that report every fault, not only the first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec

_PATH_SUFFIX: Final = re.compile(r" - at `(.*)`$")


def find_type_faults(value: object, kind: type[msgspec.Struct], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and message for every field that is missing, unknown or of a wrong type, at any depth."""
    if not isinstance(value, Mapping):
        yield path, f"must have fields, as `name: value`, not be {_name_type(value)}"
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name in value:
        if name not in fields:
            yield _join(path, name), f"is not known; known are {', '.join(fields)}"
    for name, field in fields.items():
        if name in value:
            yield from _find_field_faults(value[name], field.type, _join(path, name))
        elif field.required:
            yield _join(path, name), "is required"


def _find_field_faults(value: object, kind: Any, path: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any annotation
    struct, is_list = _find_struct(kind)
    if struct is not None and is_list and isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_type_faults(item, struct, f"{path}[{index}]")
    elif struct is not None and not is_list and isinstance(value, Mapping):
        yield from find_type_faults(value, struct, path)
    else:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            place = _PATH_SUFFIX.search(str(error))
            inner = place.group(1).removeprefix("$") if place else ""
            yield path + inner.replace("[...]", ""), _PATH_SUFFIX.sub("", str(error))


def _find_struct(kind: Any) -> tuple[type[msgspec.Struct] | None, bool]:  # noqa: ANN401 - any annotation
    """Return the struct that a type is, or is a list of, and whether it is a list; None if it is neither."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _find_struct(get_args(kind)[0])
    if origin in (Union, UnionType):
        found = [_find_struct(one) for one in get_args(kind) if one is not type(None)]
        return found[0] if len(found) == 1 else (None, False)
    if origin is Sequence:
        return _find_struct(get_args(kind)[0])[0], True
    return (kind, False) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else (None, False)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _name_type(value: object) -> str:
    return {list: "a list", str: "a text", type(None): "empty"}.get(type(value), "a number")
