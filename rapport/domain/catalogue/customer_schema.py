"""Customer schemas: the attributes of a tenant's customers, and their types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from rapport.domain.catalogue.values import Count, Entity, Key, Text, Value

DataType = Literal["text", "number", "boolean", "date", "datetime"]
AttributeSource = Literal["stored", "request", "either"]
AttributeName = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class SchemaField(Value, frozen=True):
    """Attribute of a customer.

    Attributes:
        name: Formulas read it as ``customer.<name>``.
        display_name: Name for people.
        required: Whether every customer must have it.
        is_predictor: Whether models may learn from it.
        max_length: Most characters of a text.
        default_value: Value of a customer who is stored without it.
        source: Source in decisions: the store, the request, or either, the request first.
    """

    name: AttributeName
    display_name: Annotated[str, msgspec.Meta(max_length=255)] = ""
    description: Text = ""
    data_type: DataType = "text"
    required: bool = False
    is_predictor: bool = False
    max_length: Count | None = None
    default_value: str | float | bool | None = None
    source: AttributeSource = "stored"


class CustomerSchema(Entity, frozen=True):
    """Part of the customers' attributes. All active schemas of a tenant together describe a customer.

    Attributes:
        fields: Each belongs to one schema of the tenant only.
        additional_attributes: Whether customers may have attributes that no schema names. One schema that says no is
            enough.
    """

    key: Key
    fields: Annotated[Sequence[SchemaField], msgspec.Meta(max_length=500)] = ()
    additional_attributes: bool = True
