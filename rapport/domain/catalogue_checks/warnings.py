"""Warnings of the catalogue linter."""

from __future__ import annotations

from typing import Literal

import msgspec

Code = Literal[
    "scope_without_id",
    "scope_matches_nothing",
    "contradictory_caps",
    "creative_never_shown",
    "offer_without_creative",
    "offer_never_returned",
    "flow_returns_nothing",
    "flow_not_published",
    "flow_shadowed",
    "node_does_nothing",
    "duplicate_name",
    "gate_left_out",
    "gate_skipped",
    "gate_too_early",
    "channel_without_type",
    "channel_without_creatives",
    "experiment_never_asked",
    "segment_without_filters",
    "segment_unknown",
    "missing_value_passes",
    "request_decides",
    "attribute_unknown",
    "placeholder_may_be_null",
    "cannot_be_read",
]


class LintWarning(msgspec.Struct, frozen=True):
    """Warning about an entity that is valid but probably does not do as intended.

    Attributes:
        code: Stable code of the warning's type.
        kind: Kind of the entity.
        id: Id of the entity.
        field: Path of the field, as in JSON; empty for the entity as a whole.
        message: Describes the effect of the configuration.
    """

    code: Code
    kind: str
    id: str
    field: str
    message: str
