"""Record of a decision: everything needed to explain it and to replay it.

The record is the ``decision`` of an event ``decision.made.v1``. Facts have a compact form: a subject is three texts and
its counts are five numbers, in the order of :class:`Subject` and :class:`Counts`. Of the tenant's facts, only the
entries that the decision has read are recorded, see :class:`ReadTrackingMapping`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

from rapport.domain.decisions.candidates import Request
from rapport.domain.decisions.decision import Decision
from rapport.domain.decisions.facts import Counts, CustomerFacts, Evidence, ReservedImpression, Subject, TenantFacts
from rapport.domain.decisions.packed_trace import MAX_REMOVALS, PackedTrace, pack, unpack
from rapport.domain.decisions.trace import Removal, ScoreRecord
from rapport.domain.decisions.windows import Window, WindowKind, WindowUnit, WindowZone
from rapport.domain.profiles.consent import MARKETING
from rapport.domain.profiles.suppressions import SuppressionEndings

K = TypeVar("K")
V = TypeVar("V")
_TRIM_LEVELS: Final = ((MAX_REMOVALS, MAX_REMOVALS), (200, 100), (0, 0))
"""Numbers of removals and scores to which a trace that is too large is trimmed, tried in this order."""


class ReadTrackingMapping(Mapping[K, V], Generic[K, V]):
    """Mapping that tracks which of its entries were read."""

    __slots__ = ("_values", "read_entries")

    def __init__(self, values: Mapping[K, V]) -> None:
        self._values = values
        self.read_entries: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        value = self.read_entries[key] = self._values[key]
        return value

    def __iter__(self) -> Iterator[K]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class _RecordPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Nested struct of the record."""


class WindowRecord(_RecordPart, frozen=True, kw_only=True):
    """Counts in a window; each subject is its three ids, followed by the five counts."""

    kind: WindowKind
    unit: WindowUnit
    zone: WindowZone = WindowZone.TENANT
    count: int = 1
    counts: Sequence[tuple[str, str, str, int, int, int, int, int]] = ()


class CustomerRecord(_RecordPart, frozen=True, kw_only=True):
    """Recorded :class:`CustomerFacts`.

    A time is a subject's three ids followed by epoch milliseconds; the time of an outcome has the outcome in front.

    Attributes:
        has_consent: Only in older records: whether the customer may be contacted at all.
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
    """Recorded :class:`TenantFacts`, limited to the entries read; evidence is ``[level, id, positive, negative]``."""

    tenant_id: str = ""
    time_zone: str = "UTC"
    shown_today: Mapping[str, int] = {}
    shown: Mapping[str, int] = {}
    mean_shown: float = 1.0
    evidence: Sequence[tuple[str, str, int, int]] = ()
    holdout_percent: float = 0.0


class WatermarkRecord(_RecordPart, frozen=True, kw_only=True):
    """Watermark of the tables when the facts were read.

    Attributes:
        lag_ms: Maximum age of the facts; null if unknown.
        positions: Offset by partition: all events before it are in the facts.
    """

    lag_ms: int | None = None
    positions: Mapping[str, int] = {}


class DecisionRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Record of a decision.

    Attributes:
        form: Version of the record's format: 2 with a packed trace, 1 without.
        decided_at_ms: Time of the decision, epoch milliseconds.
        request: Fields of :class:`Request` that differ from their defaults, in camelCase.
        catalogue: Stamp of the catalogue.
        seed: Seed of the decision's random draws.
        open_circuits: Keys of models that were not called.
        customer: Null if the record would have been too large; such a decision cannot be replayed.
        problems: Reasons why the request could not be decided; else empty.
        trace_id: Trace id of the HTTP request.
        total_ms: Duration of the decision, loading of facts included.
        trimmed: Number of trace entries that were left out, by kind.
        software: Versions of Rapport, Python and plug-ins by name; empty in older records.
        packed_trace: Removals and scores of the decision's trace, only while the record is encoded.
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
    packed_trace: PackedTrace | None = None


def record_customer(facts: CustomerFacts) -> CustomerRecord:
    """Convert a customer's facts to their recorded form."""
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
                counts=[(*subject, *counts) for subject, counts in counts_by_subject.items()],
            )
            for window, counts_by_subject in facts.counts.items()
        ],
        last_contacts=[(*subject, at_ms) for subject, at_ms in facts.last_contact_ms.items()],
        last_outcomes=[(outcome, *subject, at_ms) for (outcome, subject), at_ms in facts.last_outcome_ms.items()],
        reservations=[(*impression.subject, impression.at_ms) for impression in facts.reservations],
        withheld=sorted(facts.withheld),
        objections=list(facts.objections),
        granted=facts.endings.granted_ms,
        lifted=[(*key, at_ms) for key, at_ms in facts.endings.lifted_ms.items()],
    )


def restore_customer(record: CustomerRecord) -> CustomerFacts:
    """Convert recorded facts of a customer back."""
    return CustomerFacts(
        person_id=record.person_id,
        attributes=record.attributes,
        ignored=tuple(record.ignored),
        segments=frozenset(record.segments),
        metrics=record.metrics,
        time_zone=record.time_zone,
        unknown_zone=record.unknown_zone,
        counts={
            Window(window.kind, window.unit, window.zone, window.count): {
                Subject(*row[:3]): Counts(*row[3:]) for row in window.counts
            }
            for window in record.windows
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
    """Convert a tenant's facts to their recorded form: the read entries of a tracking mapping, all of any other."""
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
    """Convert recorded facts of a tenant back."""
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
    """Convert a request to its recorded form, without fields that have their default value."""
    plain = msgspec.to_builtins(request)
    empty = msgspec.to_builtins(Request(customer_id="", placements=[]))
    return {_to_camel(name): value for name, value in plain.items() if name == "customer_id" or value != empty[name]}


def restore_request(record: Mapping[str, Any]) -> Request:
    """Convert a recorded request back.

    Raises:
        msgspec.ValidationError: The record has fields that do not exist any more.
    """
    names = {_to_camel(name): name for name in Request.__dataclass_fields__}
    return msgspec.convert({names.get(name, name): value for name, value in record.items()}, Request)


def encode_record(record: DecisionRecord, max_bytes: int) -> bytes:
    """Encode a record in at most ``max_bytes`` bytes, as far as trimming allows.

    A record that is too large loses details of its trace first, and says how many; then the customer's facts, without
    which it cannot be replayed.
    """
    for removals, scores in _TRIM_LEVELS:
        record = _trim_trace(record, removals, scores)
        text = _encode(record)
        if len(text) <= max_bytes:
            return text
    return _encode(msgspec.structs.replace(record, customer=None))


def decode_record(text: bytes | str) -> DecisionRecord:
    """Decode a record, of whatever form.

    Raises:
        msgspec.ValidationError: It is no record: a producer other than Rapport wrote it.
    """
    record = _decode(text)
    if record.packed_trace is None:
        return record
    try:
        removals, scores = unpack(record.packed_trace)
    except ValueError as error:
        raise msgspec.ValidationError(str(error)) from error
    return msgspec.structs.replace(_replace_trace(record, removals, scores), packed_trace=None)


_decode: Final = msgspec.json.Decoder(DecisionRecord).decode


def _encode(record: DecisionRecord) -> bytes:
    packed = pack(record.decision.trace.removals, record.decision.trace.scores)
    return msgspec.json.encode(msgspec.structs.replace(_replace_trace(record, (), ()), form=2, packed_trace=packed))


def _trim_trace(record: DecisionRecord, removals: int, scores: int) -> DecisionRecord:
    """Keep so many removals and scores at most, and count those that were left out, earlier ones included."""
    trace = record.decision.trace
    trimmed = {
        "removals": record.trimmed.get("removals", 0) + max(len(trace.removals) - removals, 0),
        "scores": record.trimmed.get("scores", 0) + max(len(trace.scores) - scores, 0),
    }
    return msgspec.structs.replace(
        _replace_trace(record, _limit(trace.removals, removals), _limit(trace.scores, scores)),
        trimmed={name: number for name, number in trimmed.items() if number},
    )


def _limit(records: Sequence[V], most: int) -> Sequence[V]:
    return records if len(records) <= most else records[:most]


def _replace_trace(
    record: DecisionRecord, removals: Sequence[Removal], scores: Sequence[ScoreRecord]
) -> DecisionRecord:
    trace = msgspec.structs.replace(record.decision.trace, removals=removals, scores=scores)
    return msgspec.structs.replace(record, decision=msgspec.structs.replace(record.decision, trace=trace))


def _list_read_entries(values: Mapping[K, V]) -> Mapping[K, V]:
    return values.read_entries if isinstance(values, ReadTrackingMapping) else values


def _to_camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
