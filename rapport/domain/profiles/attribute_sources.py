"""Whose word counts about an attribute of a customer: what is stored, or what a request says.

By default only what is stored is ``customer.*``: whoever may send requests, such as a web page, must not be able to
send the income that decides. What a request says is ``attributes.*`` in any case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rapport.domain.catalogue.values import Status
from rapport.domain.time_zones import TIME_ZONE

if TYPE_CHECKING:
    from rapport.domain.catalogue.customer_schema import AttributeSource, CustomerSchema

_BY_DEFAULT: Final[Mapping[str, AttributeSource]] = {TIME_ZONE: "either"}
"""A device knows best where its customer is."""


class EffectiveAttributes(NamedTuple):
    """What a decision takes for the attributes of a customer.

    Attributes:
        ignored: Names that the request sent and that were not taken, of those that matter.
    """

    attributes: Mapping[str, Any]
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AttributeSources:
    """The sources of a tenant's attributes.

    Attributes:
        declared: By name, as the active schemas say.
        read: Names of attributes that something in the catalogue asks for.
    """

    declared: Mapping[str, AttributeSource] = field(default_factory=dict)
    read: frozenset[str] = frozenset()

    @classmethod
    def from_schemas(cls, schemas: Iterable[CustomerSchema], read: Iterable[str] = ()) -> AttributeSources:
        """Put the active schemas together."""
        fields = (one for schema in schemas if schema.status is Status.ACTIVE for one in schema.fields)
        return cls({one.name: one.source for one in fields}, frozenset(read))

    def source_of(self, name: str) -> AttributeSource:
        """Whose word counts about an attribute."""
        return self.declared.get(name) or _BY_DEFAULT.get(name, "stored")

    def merge(self, stored: Mapping[str, Any], sent: Mapping[str, Any]) -> EffectiveAttributes:
        """Take each attribute from its source; of ``either``, what the request says counts for this decision.

        Args:
            stored: What is kept of the customer.
            sent: What the request says.
        """
        attributes = {name: value for name, value in stored.items() if self.source_of(name) != "request"}
        ignored: list[str] = []
        for name, value in sent.items():
            if self.source_of(name) != "stored":
                attributes[name] = value
            elif stored.get(name) != value and (name in self.read or name in self.declared or name in stored):
                ignored.append(name)
        return EffectiveAttributes(attributes, tuple(ignored))
