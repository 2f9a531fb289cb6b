"""Trace of a decision: collected while a flow runs, recorded with the decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class Removal(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Removal of a candidate.

    Attributes:
        stage: Type of the node.
        by: Id of the rule or policy, else of the node.
        detail: Values that the reason rests on.
        is_fault: Whether a faulty configuration removed it instead of a rule's condition.
    """

    stage: str
    by: str
    by_name: str = ""
    offer_id: str
    creative_id: str = ""
    reason: str
    detail: Mapping[str, Any] = {}
    placement_id: str | None = None
    is_fault: bool = False


class Stage(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Candidates before and after one node.

    Attributes:
        candidates: Number before the node.
        passed: Number after it.
        method: Method in the node's config; empty if it has none.
        top_score: Largest score after a node with a method.
    """

    stage: str
    node: str
    candidates: int
    passed: int
    placement_id: str | None = None
    method: str = ""
    top_score: float | None = None


class ScoreRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Score of a candidate with its explanation."""

    offer_id: str
    creative_id: str = ""
    score: float
    explanation: Mapping[str, Any] = {}


class CouplingRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Placement of an atomic channel in which another placement stayed empty.

    Attributes:
        cascaded: Whether it had items, which were removed.
    """

    channel_id: str
    placement: str
    cascaded: bool


class Trace(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Trace of a decision: its stages, removals and scores, and problems of the configuration or request.

    Removals and scores of a decision made now are a :class:`~rapport.domain.decisions.trace_blocks.BlockSequence`,
    which JSON encoders know as little as any other sequence of one's own: ``enc_hook=list`` writes it.
    """

    stages: Sequence[Stage]
    removals: Sequence[Removal]
    scores: Sequence[ScoreRecord]
    coupling: Sequence[CouplingRecord] = ()
    problems: Sequence[str] = ()
