"""A decision as it is kept: everything that is needed to explain it and to run it again.

The record is the ``decision`` of an event ``decision.made.v1``. Facts are written compactly: a subject takes three
texts and its counts five numbers, in the order of :class:`Subject` and :class:`Counts`. Of the facts of the whole
tenant only what the decision has looked at is kept, see :class:`ReadTrackingMapping`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

from rapport.domain.decisions.candidates import Request
from rapport.domain.decisions.decision import Decision
from rapport.domain.decisions.facts import Counts, CustomerFacts, Evidence, ReservedImpression, Subject, TenantFacts
from rapport.domain.decisions.windows import Window, WindowKind, WindowUnit, WindowZone
from rapport.domain.profiles.consent import MARKETING
from rapport.domain.profiles.suppressions import SuppressionEndings

K = TypeVar("K")
V = TypeVar("V")
_TRIM_LEVELS: Final = ((200, 100), (0, 0))
"""Removals and scores that are kept of a trace that is too large, in the order in which it is tried."""


class ReadTrackingMapping(Mapping[K, V], Generic[K, V]):
    """A mapping that remembers which of its entries were looked at."""

    __slots__ = ("_values", "seen")

    def __init__(self, values: Mapping[K, V]) -> None:
        self._values = values
        self.seen: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        value = self.seen[key] = self._values[key]
        return value

    def __iter__(self) -> Iterator[K]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class _RecordPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A part of the record."""


class WindowRecord(_RecordPart, frozen=True, kw_only=True):
    """What was counted in a window, per subject: its three ids, then the five counts."""

    kind: WindowKind
    unit: WindowUnit
    zone: WindowZone = WindowZone.TENANT
    count: int = 1
    counts: Sequence[tuple[str, str, str, int, int, int, int, int]] = ()


class CustomerRecord(_RecordPart, frozen=True, kw_only=True):
    """:class:`CustomerFacts`; a time is a subject's three ids and epoch milliseconds, an outcome has its key before.

    Attributes:
        has_consent: In older records: whether the customer might be contacted at all.
    """

    person_id: str = ""
    attributes: Mapping[str, Any] = {}
    ignored: Sequence[str] = ()
    segments: Sequence[str] = ()
    metrics: Mapping[str, float] = {}
    time_zone: str | None = None
    unknown_zone: str = ""
    windows: Sequence[WindowRecord] = ()
    last_contacts: Sequence[tuple[str, str, str, int]] = ()
    last_outcomes: Sequence[tuple[str, str, str, str, int]] = ()
    reservations: Sequence[tuple[str, str, str, int]] = ()
    has_consent: bool = True
    withheld: Sequence[str] = ()
    objections: Sequence[str] = ()
    granted: Mapping[str, int] = {}
    lifted: Sequence[tuple[str, str, int]] = ()


class TenantRecord(_RecordPart, frozen=True, kw_only=True):
    """:class:`TenantFacts`, as far as they were looked at; evidence is ``[level, id, positive, negative]``."""

    tenant_id: str = ""
    time_zone: str = "UTC"
    shown_today: Mapping[str, int] = {}
    shown: Mapping[str, int] = {}
    mean_shown: float = 1.0
    evidence: Sequence[tuple[str, str, int, int]] = ()
    holdout_percent: float = 0.0


class WatermarkRecord(_RecordPart, frozen=True, kw_only=True):
    """How far the tables were when the facts were read.

    Attributes:
        lag_ms: How old the facts may have been; null where it was not known.
        positions: Partition -> everything before this offset was in the facts.
    """

    lag_ms: int | None = None
    positions: Mapping[str, int] = {}


class DecisionRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A decision in full.

    Attributes:
        form: Of this record; a later one may differ.
        decided_at_ms: What the decision took for now, epoch milliseconds.
        request: :class:`Request`, by the names of its fields.
        catalogue: The stamp of the catalogue.
        seed: Of the decision's chance.
        open_circuits: Models that were not asked.
        customer: Null where the record would have been too large with it: the decision cannot be replayed then.
        problems: Why there was nothing to decide; empty if there was.
        trace_id: Of the HTTP request.
        total_ms: How long the decision took, with reading the facts.
        trimmed: What of the trace was left out, and how much of it.
        software: Version by name: of Rapport, Python and plug-ins; empty in older records.
    """

    form: int = 1
    recommendation_id: str
    customer_id: str
    decided_at_ms: int
    request: Mapping[str, Any]
    catalogue: str
    seed: int
    open_circuits: Sequence[str] = ()
    customer: CustomerRecord | None = None
    tenant: TenantRecord = TenantRecord()
    watermark: WatermarkRecord = WatermarkRecord()
    decision: Decision
    problems: Sequence[str] = ()
    trace_id: str = ""
    total_ms: float = 0.0
    trimmed: Mapping[str, int] = {}
    software: Mapping[str, str] = {}


def record_customer(facts: CustomerFacts) -> CustomerRecord:
    """Write a customer's facts down."""
    return CustomerRecord(
        person_id=facts.person_id,
        attributes=facts.attributes,
        ignored=facts.ignored,
        segments=sorted(facts.segments),
        metrics=facts.metrics,
        time_zone=facts.time_zone,
        unknown_zone=facts.unknown_zone,
        windows=[
            WindowRecord(
                kind=window.kind,
                unit=window.unit,
                zone=window.zone,
                count=window.count,
                counts=[(*subject, *counts) for subject, counts in of_subjects.items()],
            )
            for window, of_subjects in facts.counts.items()
        ],
        last_contacts=[(*subject, at_ms) for subject, at_ms in facts.last_contact_ms.items()],
        last_outcomes=[(outcome, *subject, at_ms) for (outcome, subject), at_ms in facts.last_outcome_ms.items()],
        reservations=[(*one.subject, one.at_ms) for one in facts.reservations],
        withheld=sorted(facts.withheld),
        objections=list(facts.objections),
        granted=facts.endings.granted_ms,
        lifted=[(*key, at_ms) for key, at_ms in facts.endings.lifted_ms.items()],
    )


def restore_customer(record: CustomerRecord) -> CustomerFacts:
    """Read a customer's facts back."""
    return CustomerFacts(
        person_id=record.person_id,
        attributes=record.attributes,
        ignored=tuple(record.ignored),
        segments=frozenset(record.segments),
        metrics=record.metrics,
        time_zone=record.time_zone,
        unknown_zone=record.unknown_zone,
        counts={
            Window(one.kind, one.unit, one.zone, one.count): {Subject(*row[:3]): Counts(*row[3:]) for row in one.counts}
            for one in record.windows
        },
        last_contact_ms={Subject(*row[:3]): row[3] for row in record.last_contacts},
        last_outcome_ms={(row[0], Subject(*row[1:4])): row[4] for row in record.last_outcomes},
        reservations=[ReservedImpression(Subject(*row[:3]), row[3]) for row in record.reservations],
        withheld=frozenset(record.withheld) | (frozenset() if record.has_consent else {MARKETING}),
        objections=tuple(record.objections),
        endings=SuppressionEndings(
            granted_ms=record.granted, lifted_ms={(row[0], row[1]): row[2] for row in record.lifted}
        ),
    )


def record_tenant(facts: TenantFacts) -> TenantRecord:
    """Write a tenant's facts down: what was looked at of a :class:`ReadTrackingMapping`, all of another mapping."""
    return TenantRecord(
        tenant_id=facts.tenant_id,
        time_zone=facts.time_zone,
        shown_today=_list_read_entries(facts.shown_today),
        shown=_list_read_entries(facts.shown),
        mean_shown=facts.mean_shown,
        evidence=[(*key, *answers) for key, answers in _list_read_entries(facts.evidence).items()],
        holdout_percent=facts.holdout_percent,
    )


def restore_tenant(record: TenantRecord) -> TenantFacts:
    """Read a tenant's facts back."""
    return TenantFacts(
        tenant_id=record.tenant_id,
        time_zone=record.time_zone,
        shown_today=record.shown_today,
        shown=record.shown,
        mean_shown=record.mean_shown,
        evidence={(row[0], row[1]): Evidence(row[2], row[3]) for row in record.evidence},
        holdout_percent=record.holdout_percent,
    )


def record_request(request: Request) -> Mapping[str, Any]:
    """Write a request down; what it leaves open is left out."""
    plain = msgspec.to_builtins(request)
    empty = msgspec.to_builtins(Request(customer_id="", placements=[]))
    return {_to_camel(name): value for name, value in plain.items() if name == "customer_id" or value != empty[name]}


def restore_request(record: Mapping[str, Any]) -> Request:
    """Read a request back.

    Raises:
        msgspec.ValidationError: It was written in a form that is not known any more.
    """
    names = {_to_camel(name): name for name in Request.__dataclass_fields__}
    return msgspec.convert({names.get(name, name): value for name, value in record.items()}, Request)


def encode_record(record: DecisionRecord, max_bytes: int) -> bytes:
    """Encode a record so that it is not larger than allowed.

    What is too large loses detail of its trace first, and says how much; then the facts, and with them the replay.
    """
    text = msgspec.json.encode(record)
    for removals, scores in _TRIM_LEVELS:
        if len(text) <= max_bytes:
            return text
        text = msgspec.json.encode(_trim_trace(record, removals, scores))
    if len(text) <= max_bytes:
        return text
    return msgspec.json.encode(msgspec.structs.replace(_trim_trace(record, 0, 0), customer=None))


def _trim_trace(record: DecisionRecord, removals: int, scores: int) -> DecisionRecord:
    trace = record.decision.trace
    kept = msgspec.structs.replace(trace, removals=trace.removals[:removals], scores=trace.scores[:scores])
    lost = {
        "removals": len(trace.removals) - len(kept.removals),
        "scores": len(trace.scores) - len(kept.scores),
    }
    decision = msgspec.structs.replace(record.decision, trace=kept)
    return msgspec.structs.replace(
        record, decision=decision, trimmed={name: number for name, number in lost.items() if number}
    )


def _list_read_entries(values: Mapping[K, V]) -> Mapping[K, V]:
    return values.seen if isinstance(values, ReadTrackingMapping) else values


def _to_camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
