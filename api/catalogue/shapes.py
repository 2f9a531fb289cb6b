"""Entities on the wire: bodies, and answers with the members of their versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, cast

import msgspec

from api.http.bodies import Body
from api.http.cursors import Pagination
from api.http.times import iso, iso_or_none
from rapport.domain.catalogue.inventory import ChannelType
from rapport.domain.catalogue.plain import to_full_fields
from rapport.domain.catalogue_checks.kinds import KINDS
from rapport.domain.catalogue_checks.warnings import LintWarning
from rapport.storage.catalogue import EntityVersion

_VERSIONED: Final[Sequence[tuple[str, Any]]] = (
    ("tenant_id", str),
    ("version", int),
    ("changed_by", str),
    ("created_at", str),
    ("updated_at", str),
    ("deleted_at", str | None),
)
"""What answers say of an entity beyond itself."""


class Publication(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One publishing of a flow."""

    version: int
    published_at: str
    notes: str = ""


_EXTRAS: Final[Mapping[str, Sequence[Any]]] = {
    "decision_flow": (
        ("row_version", int),
        ("draft_config", Mapping[str, Any]),
        ("published_versions", Sequence[Publication] | msgspec.UnsetType, msgspec.UNSET),
        ("warnings", Sequence[LintWarning] | msgspec.UnsetType, msgspec.UNSET),
    ),
    "qualification_rule": (("decisioning_stage", str),),
    "segment": (("customer_count", int | None), ("last_refreshed_at", str | None)),
}
"""Likewise, for some kinds; of a flow ``publishedVersions`` is only in the answer for a single one, and ``warnings`` in
that to its publishing."""
COMPUTED: Final[Mapping[str, frozenset[str]]] = {
    kind: frozenset({"tenantId", "changedBy", "createdAt", "updatedAt", "deletedAt"})
    | {
        "decision_flow": frozenset(
            {
                "published",
                "publishedVersion",
                "publishedVersions",
                "autoAssembly",
                "draftConfig",
                "rowVersion",
                "warnings",
            }
        ),
        "qualification_rule": frozenset({"decisioningStage"}),
        "segment": frozenset({"customerCount", "lastRefreshedAt"}),
    }.get(kind, frozenset())
    for kind in KINDS
}
"""What answers have and bodies may have, without effect: whoever sends back what was answered, changed, is right."""


_REQUIRED: Final[Mapping[tuple[str, str], Any]] = {("channel", "channel_type"): ChannelType}
"""Fields that bodies must have, although entities stored before may lack them."""


@cache
def body_shape(kind: str) -> type[Body]:
    """Make the type of bodies that create or replace an entity of a kind."""
    entity = KINDS[kind]
    fields: list[Any] = []
    for field in msgspec.structs.fields(entity):
        if field.encode_name in COMPUTED[kind]:
            continue
        if (kind, field.name) in _REQUIRED:
            fields.append((field.name, _REQUIRED[kind, field.name]))
        elif field.name in ("id", "key"):
            fields.append((field.name, field.type | msgspec.UnsetType, msgspec.UNSET))
        elif field.required:
            fields.append((field.name, field.type))
        else:
            fields.append((field.name, field.type, _find_default(field)))
    fields.append(("version", int | msgspec.UnsetType, msgspec.UNSET))
    shape = msgspec.defstruct(
        f"{entity.__name__}Body",
        fields,
        bases=(Body,),
        kw_only=True,
        frozen=True,
        rename="camel",
        forbid_unknown_fields=True,
        module=__name__,
        namespace={
            "__doc__": f"{entity.__doc__}\n\n`version`: the one that the change builds upon; 409 if it is older."
        },
    )
    return cast("type[Body]", shape)


@cache
def patch_shape(kind: str) -> type[msgspec.Struct]:
    """Make the type of bodies that change some fields of an entity; null takes a field back to its default."""
    entity = KINDS[kind]
    fields: list[Any] = [
        (field.name, field.type | None | msgspec.UnsetType, msgspec.UNSET)
        for field in msgspec.structs.fields(entity)
        if field.name != "id" and field.encode_name not in COMPUTED[kind]
    ]
    fields.append(("version", int | msgspec.UnsetType, msgspec.UNSET))
    return msgspec.defstruct(
        f"{entity.__name__}Patch",
        fields,
        kw_only=True,
        frozen=True,
        rename="camel",
        module=__name__,
        namespace={"__doc__": "Fields that are to change; null takes one back to its default."},
    )


@cache
def view_shape(kind: str) -> type[msgspec.Struct]:
    """Make the type of answers about an entity of a kind."""
    entity = KINDS[kind]
    fields = [(field.name, field.type) for field in msgspec.structs.fields(entity)]
    return msgspec.defstruct(
        f"{entity.__name__}View",
        [*fields, *_VERSIONED, *_EXTRAS.get(kind, ())],
        kw_only=True,
        frozen=True,
        rename="camel",
        module=__name__,
        namespace={"__doc__": f"{entity.__doc__}\n\n`version` ascends with every change."},
    )


@cache
def page_shape(kind: str) -> type[msgspec.Struct]:
    """Make the type of a page of entities of a kind."""
    return msgspec.defstruct(
        f"{KINDS[kind].__name__}Page",
        [("data", Sequence[view_shape(kind)]), ("pagination", Pagination)],  # type: ignore[misc]  # made just now
        kw_only=True,
        frozen=True,
        module=__name__,
    )


def build_view(tenant_id: str, record: EntityVersion) -> dict[str, Any]:
    """Write an entity as answers show it: all its fields, and the members of its version."""
    view: dict[str, Any] = to_full_fields(record.entity)
    view |= {
        "tenantId": tenant_id,
        "version": record.version,
        "changedBy": record.changed_by,
        "createdAt": iso(record.created_at_ms),
        "updatedAt": iso(record.updated_at_ms),
        "deletedAt": iso_or_none(record.updated_at_ms if record.is_deleted else None),
    }
    if record.kind == "decision_flow":
        view |= {"rowVersion": record.version, "draftConfig": {"version": 2, "nodes": view["draft"]}}
    elif record.kind == "qualification_rule":
        view["decisioningStage"] = view["stage"]
    return view


def publications(history: Sequence[EntityVersion]) -> Sequence[Publication]:
    """List the publications of a flow by its versions, the newest first."""
    found: dict[int, Publication] = {}
    for record in history:  # the oldest version with a publication is the one that made it
        number = getattr(record.entity, "published_version", 0)
        if number:
            found[number] = Publication(version=number, published_at=iso(record.updated_at_ms))
    return list(found.values())


def _find_default(field: msgspec.structs.FieldInfo) -> Any:  # noqa: ANN401 - of whatever type the field has
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    return field.default
