"""Typed ``config`` of rules, policies and nodes, which is free-form in the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from rapport.domain.faults import Fault

T = TypeVar("T", bound="Config")


class ConfigError(ValueError):
    """A config with faults; the text names them all.

    Attributes:
        faults: All faults; the field is empty where it is the whole config.
    """

    def __init__(self, *faults: Fault) -> None:
        super().__init__(
            "; ".join(f"{fault.field}: {fault.message}" if fault.field else fault.message for fault in faults)
        )
        self.faults: Sequence[Fault] = faults


class Config(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Base of every typed config."""


def read_config(config: Mapping[str, Any], kind: type[T]) -> T:
    """Convert a free-form config to its type.

    Raises:
        ConfigError: With every fault.
    """
    try:
        return msgspec.convert(dict(config), kind)
    except msgspec.ValidationError as error:
        raise ConfigError(*(_find_faults(config, kind) or [Fault("", str(error))])) from error


def _find_faults(config: Mapping[str, Any], kind: type[T]) -> list[Fault]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    known = ", ".join(fields)
    faults = [Fault(name, f"is not known; known are {known}") for name in config if name not in fields]
    for name, field in fields.items():
        if name not in config:
            if field.required:
                faults.append(Fault(name, "is required"))
            continue
        try:
            msgspec.convert(config[name], field.type)
        except msgspec.ValidationError as error:
            faults.append(Fault(name, re.sub(r" - at `[^`]*`$", "", str(error))))
    return faults
