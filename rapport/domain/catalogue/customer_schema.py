"""What a tenant keeps of its customers: the attributes that there are, and what each may hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from rapport.domain.catalogue.values import Count, Entity, Key, Text, Value

DataType = Literal["text", "number", "boolean", "date", "datetime"]
AttributeSource = Literal["stored", "request", "either"]
AttributeName = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class SchemaField(Value, frozen=True):
    """An attribute.

    Attributes:
        name: What formulas call ``customer.<name>``.
        display_name: For people.
        required: Whether no customer may be without it.
        is_predictor: Whether models may learn from it.
        max_length: Of a text, in characters.
        default_value: What a customer gets who is stored without it.
        source: Whose word counts in decisions: what is stored, what the request says, or either, the request first.
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
    """A part of what is kept of customers. All active schemas of a tenant together describe a customer.

    Attributes:
        fields: Each belongs to one schema of the tenant only.
        additional_attributes: Whether customers may have attributes that no schema names. One schema that says no is
            enough.
    """

    key: Key
    fields: Annotated[Sequence[SchemaField], msgspec.Meta(max_length=500)] = ()
    additional_attributes: bool = True
