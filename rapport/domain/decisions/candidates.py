"""Request, candidates and the context in which rules, policies, formulas and models evaluate candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from rapport.domain.decisions.contact_counts import ContactHistory
from rapport.domain.decisions.facts import Counts, CustomerFacts, Selection, Subject, TenantFacts
from rapport.domain.number_text import parse_index

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Channel, Creative, Offer
    from rapport.domain.decisions.valuation import Valuation
    from rapport.domain.decisions.windows import Window


T = TypeVar("T")
_NO_CONTENT: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRequest:
    """Placement in a request for several placements.

    Attributes:
        channel_id: None stands for the channel of the request.
        limit: Maximum number of offers in the placement.
    """

    placement_id: str
    channel_id: str | None = None
    limit: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Request for a decision. Channels and placements are given by id, see :mod:`.request_resolution`.

    Attributes:
        limit: Maximum number of offers; in a request for ``placements`` each placement has its own.
        placements: Placements to fill together; empty for a request for a single placement or none in particular.
        deduplicate: Whether an offer may be in only one of the placements; None: only if the flow allocates optimally.
        attributes: Attributes of this request, ``attributes.*`` in formulas.
        context: Further values of this request, ``request.*`` in formulas.
        segments: Segments that the request adds to the stored ones.
        propensities: Propensities from the caller's own models, by offer id.
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


class Candidate:
    """Candidate of a decision: an offer with one of its creatives.

    A decision makes many and looks at few again: values that no node has set are those of the class, and mappings are
    made when they are first read.

    Attributes:
        creative: None if the flow requires no creative and the offer has none that fits.
        position: Position among the possible candidates of the catalogue
            (:class:`~rapport.domain.decisions.candidate_columns.CandidateColumns`); None outside of a catalogue.
        fit: Product of the multipliers of the match rules that failed.
        score: None until the score node has run.
        share: Share of all customers to whom the same creative of the offer is assigned, 0 to 1.
        valuation: Components of the score; None until the score node has run.
        content: Rendered texts of the creative; empty until the output phase.
    """

    fit: float = 1.0
    score: float | None = None
    share: float = 1.0
    valuation: Valuation | None = None
    content: Mapping[str, str] = _NO_CONTENT

    def __init__(
        self,
        offer: Offer,
        creative: Creative | None = None,
        channel: Channel | None = None,
        position: int | None = None,
    ) -> None:
        self.offer = offer
        self.creative = creative
        self.channel = channel
        self.position = position

    @cached_property
    def properties(self) -> dict[str, Any]:
        """Values that nodes set; returned with the item."""
        return {}

    @cached_property
    def personalization(self) -> dict[str, Any]:
        """Computed values; returned with the item and available to its content."""
        return {}

    @cached_property
    def explanation(self) -> dict[str, Any]:
        """Soft verdicts and the override of the candidate."""
        return {}

    @property
    def is_overridden(self) -> bool:
        """Whether a contact policy exempts the candidate from all others."""
        return "explanation" in vars(self) and "override" in self.explanation

    def copy(self) -> Candidate:
        """Return a copy that shares no mapping with the candidate."""
        copied = copy(self)
        copied.properties = dict(self.properties)
        copied.personalization = dict(self.personalization)
        copied.explanation = dict(self.explanation)
        return copied

    @property
    def subject(self) -> Subject:
        """Subject under which contacts about the candidate are counted."""
        return Subject(
            self.offer.id,
            self.creative.id if self.creative else "",
            self.creative.channel_id if self.creative else "",
        )


@dataclass(slots=True)
class Context:
    """Context of one run of a flow: the request, the facts, and results memoized during the run.

    Attributes:
        shared_history: History of the customer that another context has built; None to build it.
    """

    request: Request
    customer: CustomerFacts
    tenant: TenantFacts
    now_ms: int
    shared_history: InitVar[ContactHistory | None] = None
    history: ContactHistory = field(init=False)
    segments: frozenset[str] = field(init=False)
    _memos: dict[type[Any], Any] = field(init=False, default_factory=dict)
    _namespaces: Mapping[str, Mapping[str, Any]] = field(init=False)

    def __post_init__(self, shared_history: ContactHistory | None) -> None:
        self.history = shared_history or ContactHistory.from_facts(self.customer, self.now_ms, self.tenant.time_zone)
        self.segments = self.customer.segments | self.request.segments
        self._namespaces = {
            "customer": self.customer.attributes,
            "attributes": self.request.attributes,
            "metric": self.customer.metrics,
            "request": self.request.context,
        }

    @property
    def person_id(self) -> str:
        """Canonical id of the person, the key of all random assignments: every id of a person gets the same ones."""
        return self.customer.person_id or self.request.customer_id

    def with_request(self, request: Request) -> Context:
        """Return a context for another request of the same customer; it shares the history."""
        return Context(request, self.customer, self.tenant, self.now_ms, self.history)

    def with_shown(self, shown: Sequence[Subject]) -> Context:
        """Return a context in which some subjects are already shown by this decision."""
        return Context(self.request, self.customer, self.tenant, self.now_ms, self.history.with_shown(shown))

    def get_memo(self, kind: type[T]) -> T:
        """Return the run's only object of a type, created by the first call; its caller keeps results in it."""
        memo = self._memos.get(kind)
        if memo is None:
            memo = self._memos[kind] = kind()
        return memo

    def count(self, window: Window, selection: Selection) -> Counts:
        """Count the customer's contacts in a window."""
        return self.history.count(window, selection)

    def lookup(self, name: str, candidate: Candidate | None = None) -> object:
        """Return the value of a field by its dotted name; None if there is none.

        Namespaces: ``customer.``, ``attributes.``, ``request.``, ``metric.``, ``segments``, and for a candidate
        ``offer.``, ``creative.`` and ``channel.``. A bare name is a computed value, else a custom field of the offer,
        else a property that a node has set.
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
    """Return a field of an entity by its JSON or Python name, or a custom field by its key; None if there is none."""
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
    """Return the value at a dotted path in nested objects and lists; a key that contains dots takes precedence."""
    if isinstance(values, Mapping):
        if path in values:
            return values[path]
        head, dot, rest = path.partition(".")
        return _read_path(values.get(head), rest) if dot else None
    if isinstance(values, Sequence) and not isinstance(values, str):
        index = parse_index(path)
        return values[index] if index is not None and index < len(values) else None
    return None
