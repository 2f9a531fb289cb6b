"""Traces and replays on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rapport.domain.decisions.decision import DecisionItem, ExperimentRecord, PlacementResult
from rapport.domain.decisions.record import WatermarkRecord
from rapport.domain.decisions.trace import CouplingRecord, Removal, ScoreRecord


class TracedStage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Result of one node of the flow; null: it does not score."""

    stage: str
    node: str
    placement_id: str | None
    candidates: int
    passed: int
    method: str | None
    top_score: float | None


class TopOffer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The offer of rank 1."""

    offer_id: str
    score: float


class TracedResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Result of a decision."""

    count: int
    top_offer: TopOffer | None


class Trace(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A decision in short.

    Attributes:
        id: The recommendation's id; ``requestId`` is the same, under its documented name.
        total_duration_ms: From reading facts to the decision.
    """

    id: str
    request_id: str
    recommendation_id: str
    customer_id: str
    decision_flow_key: str
    decision_flow_version: int
    pipeline: Sequence[TracedStage]
    result: TracedResult
    candidate_count: int
    after_qualification: int
    after_contact_policy: int
    final_count: int
    total_duration_ms: float
    created_at: str


class TracePage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Decisions, the newest first; ``total`` counts those of all pages."""

    traces: Sequence[Trace]
    total: int
    limit: int
    offset: int


class FullTrace(Trace, frozen=True, kw_only=True):
    """A decision with its reasons.

    Attributes:
        qualification_results: Candidates that rules removed; the next two are of contact policies and other stages.
        scoring_results: How candidates were scored.
        trimmed: Number of removals and of scores that were left out, because there were too many.
        request: The request, by today's names.
        catalogue: Stamp of the catalogue.
        watermark: How far the tables were.
        is_replayable: Whether the facts were stored.
        trace_id: Of the HTTP request, as in the logs.
        software: Versions of rapport, python and plug-ins; empty in decisions of older releases.
    """

    qualification_results: Sequence[Removal]
    contact_policy_results: Sequence[Removal]
    other_removals: Sequence[Removal]
    scoring_results: Sequence[ScoreRecord]
    selected_offers: Sequence[DecisionItem]
    placement_results: Sequence[PlacementResult]
    channel_coupling: Sequence[CouplingRecord]
    experiment_assignment: Sequence[ExperimentRecord]
    control_group: bool
    degraded_scoring: bool
    failed_models: Sequence[str]
    problems: Sequence[str]
    trimmed: Mapping[str, int]
    request: Mapping[str, Any]
    catalogue: str
    seed: int
    watermark: WatermarkRecord
    is_replayable: bool
    trace_id: str
    software: Mapping[str, str]


class Difference(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Difference between a decision and its replay."""

    path: str
    recorded: Any
    replayed: Any


class Replay(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Replay of a decision on its facts.

    Attributes:
        identical: Whether the result is the same.
        differences: Where not.
        software_differences: Software whose version differs, where versions were recorded.
        decisions: Items of the replay.
    """

    recommendation_id: str
    customer_id: str
    decided_at: str
    catalogue: str
    identical: bool
    differences: Sequence[Difference]
    software_differences: Sequence[Difference]
    decisions: Sequence[DecisionItem]
