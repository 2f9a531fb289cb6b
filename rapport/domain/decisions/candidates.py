"""What is decided about: an offer with a creative, and everything a rule may ask about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from rapport.domain.decisions.contact_counts import ContactHistory
from rapport.domain.decisions.facts import Counts, CustomerFacts, Selection, Subject, TenantFacts
from rapport.domain.number_text import parse_index

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Channel, Creative, Offer
    from rapport.domain.decisions.valuation import Valuation
    from rapport.domain.decisions.windows import Window


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRequest:
    """One placement of a request for several.

    Attributes:
        channel_id: None: the channel of the request.
        limit: How many offers it takes.
    """

    placement_id: str
    channel_id: str | None = None
    limit: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked, by the names of today. Channels and placements are ids: see :mod:`.resolving`.

    Attributes:
        limit: How many offers in all; of a request for placements each has its own.
        placements: Filled together; empty for a request for one, or for no placement in particular.
        deduplicate: Whether an offer may be in one of the placements only; None: where the flow allocates optimally.
        attributes: Of this request; what formulas call ``attributes.*``.
        segments: Given with the request, on top of what is known.
        propensities: Scores of the caller's own models by offer id.
        levers: Multipliers by offer or category id.
    """

    customer_id: str
    channel_id: str | None = None
    channel_type: str | None = None
    placement_id: str | None = None
    limit: int = 5
    placements: Sequence[PlacementRequest] = ()
    deduplicate: bool | None = True
    attributes: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    segments: frozenset[str] = frozenset()
    excluded_offers: frozenset[str] = frozenset()
    excluded_creatives: frozenset[str] = frozenset()
    propensities: Mapping[str, float] = field(default_factory=dict)
    levers: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Candidate:
    """An offer with one creative on its way through a flow.

    Attributes:
        creative: None where the flow asks for none and the offer has none.
        fit: Product of the multipliers of match rules that failed.
        score: None before it is scored.
        share: The part of all customers for whom a model and a creative were picked as they were here.
        valuation: Where its score comes from; None before it is scored.
        properties: Set by nodes; end up in the answer.
        personalization: Computed values; end up in the answer and in its content.
        content: The creative's texts, rendered at the end.
    """

    offer: Offer
    creative: Creative | None = None
    channel: Channel | None = None
    fit: float = 1.0
    score: float | None = None
    share: float = 1.0
    valuation: Valuation | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    personalization: dict[str, Any] = field(default_factory=dict)
    explanation: dict[str, Any] = field(default_factory=dict)
    content: Mapping[str, str] = field(default_factory=dict)

    @property
    def subject(self) -> Subject:
        """How contacts about it are counted."""
        return Subject(
            self.offer.id,
            self.creative.id if self.creative else "",
            self.creative.channel_id if self.creative else "",
        )


@dataclass(slots=True)
class Context:
    """One run: what was asked, what is known, and what was already worked out.

    Attributes:
        begun: Tallies of the customer that were begun before.
    """

    request: Request
    customer: CustomerFacts
    tenant: TenantFacts
    now_ms: int
    begun: InitVar[ContactHistory | None] = None
    tallies: ContactHistory = field(init=False)
    segments: frozenset[str] = field(init=False)
    _memos: dict[type[Any], Any] = field(init=False, default_factory=dict)
    _namespaces: Mapping[str, Mapping[str, Any]] = field(init=False)

    def __post_init__(self, begun: ContactHistory | None) -> None:
        self.tallies = begun or ContactHistory.of(self.customer, self.now_ms, self.tenant.time_zone)
        self.segments = self.customer.segments | self.request.segments
        self._namespaces = {
            "customer": self.customer.attributes,
            "attributes": self.request.attributes,
            "metric": self.customer.metrics,
            "request": self.request.context,
        }

    @property
    def person_id(self) -> str:
        """Whom chance is drawn for: one id for all that a person goes by, so that each gets the same."""
        return self.customer.person_id or self.request.customer_id

    def asked(self, request: Request) -> Context:
        """The same run for another request of the same customer."""
        return Context(request, self.customer, self.tenant, self.now_ms, self.tallies)

    def after(self, picked: Sequence[Subject]) -> Context:
        """The same run once it shows something."""
        return Context(self.request, self.customer, self.tenant, self.now_ms, self.tallies.after(picked))

    def memo(self, kind: type[T]) -> T:
        """Return this run's one object of a kind, made empty when first asked for, in which its owner keeps results."""
        memo = self._memos.get(kind)
        if memo is None:
            memo = self._memos[kind] = kind()
        return memo

    def count(self, window: Window, selection: Selection) -> Counts:
        """Contacts of the customer in a window."""
        return self.tallies.count(window, selection)

    def lookup(self, name: str, candidate: Candidate | None = None) -> object:
        """Find a field by its dotted name; None where there is none.

        Namespaces: ``customer.``, ``attributes.``, ``request.``, ``metric.``, ``segments``, and of a candidate
        ``offer.``, ``creative.`` and ``channel.``. A bare name is a computed value, then a custom field of the offer,
        then a property that a node has set.
        """
        namespace, dot, rest = name.partition(".")
        if not dot:
            return sorted(self.segments) if name == "segments" else _read_offer_field(candidate, name)
        if namespace in ("offer", "creative", "channel"):
            return _read_entity_field(getattr(candidate, namespace), rest) if candidate else None
        if namespace == "request" and rest in _REQUEST_FIELDS:
            return getattr(self.request, _REQUEST_FIELDS[rest])
        return _read_path(self._namespaces.get(namespace), rest)


_REQUEST_FIELDS: Mapping[str, str] = {
    "customerId": "customer_id",
    "channel": "channel_type",
    "channelId": "channel_id",
    "placementId": "placement_id",
    "limit": "limit",
}
_NAMES: dict[type[Any], Mapping[str, str]] = {}


def _read_offer_field(candidate: Candidate | None, name: str) -> object:
    if candidate is None:
        return None
    if name in candidate.personalization:
        return candidate.personalization[name]
    if name in candidate.offer.custom_fields:
        return candidate.offer.custom_fields[name]
    return candidate.properties.get(name)


def _read_entity_field(entity: msgspec.Struct | None, name: str) -> object:
    """A field of an entity, by its name in JSON or in Python; custom fields by their keys."""
    if entity is None:
        return None
    kind = type(entity)
    names = _NAMES.get(kind)
    if names is None:
        fields = msgspec.structs.fields(kind)
        names = _NAMES[kind] = {f.encode_name: f.name for f in fields} | {f.name: f.name for f in fields}
    head, _, rest = name.partition(".")
    if head in names:
        value = getattr(entity, names[head])
        return _read_path(value, rest) if rest else value
    return getattr(entity, "custom_fields", {}).get(name)


def _read_path(values: object, path: str) -> object:
    """A value inside nested objects; a key with dots in it comes first."""
    if isinstance(values, Mapping):
        if path in values:
            return values[path]
        head, dot, rest = path.partition(".")
        return _read_path(values.get(head), rest) if dot else None
    if isinstance(values, Sequence) and not isinstance(values, str):
        index = parse_index(path)
        return values[index] if index is not None and index < len(values) else None
    return None
