"""Sources of customer attributes: the store, the request, or either.

By default only stored attributes are ``customer.*``: whoever may send requests, such as a web page, must not be able to
send the income that decides. Attributes of the request are ``attributes.*`` in any case.
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
"""The request may state the time zone: a device knows best where its customer is."""


class EffectiveAttributes(NamedTuple):
    """Attributes of a customer that a decision uses.

    Attributes:
        ignored: Names that the request sent and that were not taken, of those that matter.
    """

    attributes: Mapping[str, Any]
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AttributeSources:
    """The sources of a tenant's attributes.

    Attributes:
        declared: Source by attribute name, from the active schemas.
        read: Names of attributes that something in the catalogue reads.
    """

    declared: Mapping[str, AttributeSource] = field(default_factory=dict)
    read: frozenset[str] = frozenset()

    @classmethod
    def from_schemas(cls, schemas: Iterable[CustomerSchema], read: Iterable[str] = ()) -> AttributeSources:
        """Collect the sources that the active schemas declare."""
        fields = (attribute for schema in schemas if schema.status is Status.ACTIVE for attribute in schema.fields)
        return cls({attribute.name: attribute.source for attribute in fields}, frozenset(read))

    def source_of(self, name: str) -> AttributeSource:
        """Return the source of an attribute; stored unless declared."""
        return self.declared.get(name) or _BY_DEFAULT.get(name, "stored")

    def merge(self, stored: Mapping[str, Any], sent: Mapping[str, Any]) -> EffectiveAttributes:
        """Take each attribute from its source; of ``either``, the request's value wins for this decision.

        Args:
            stored: Stored attributes of the customer.
            sent: Attributes of the request.
        """
        attributes = {name: value for name, value in stored.items() if self.source_of(name) != "request"}
        ignored: list[str] = []
        for name, value in sent.items():
            if self.source_of(name) != "stored":
                attributes[name] = value
            elif stored.get(name) != value and (name in self.read or name in self.declared or name in stored):
                ignored.append(name)
        return EffectiveAttributes(attributes, tuple(ignored))
