"""What the linter says."""

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
    """One thing that is worth a second look.

    Attributes:
        code: Stable.
        kind: Of the entity.
        id: Of the entity.
        field: Path of the field, as in JSON; empty for the entity as a whole.
        message: What happens, or does not.
    """

    code: Code
    kind: str
    id: str
    field: str
    message: str
