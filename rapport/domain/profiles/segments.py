"""Segments: groups of customers, by their attributes, summaries and behavioral metrics.

A filter holds for a customer exactly where the same condition would hold in a rule (see
:mod:`rapport.domain.conditions`), except that segments have no patterns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import msgspec

from rapport.domain.catalogue.values import Entity, Value
from rapport.domain.conditions import Condition, ConditionError, compile_condition
from rapport.domain.faults import Fault
from rapport.domain.periods import PeriodType

MAX_FILTERS: Final = 50
MAX_VALUES: Final = 1_000
"""Most values in the list of one filter."""
COUNTS: Final = ("impressions", "positive", "negative", "neutral", "converts", "totalValue")
"""Sums of the summaries; 0 where there are no contacts."""
LAST_CONTACT_DAYS: Final = "lastContactDays"
"""Days since the latest contact, with fractions; null where there was none."""
SUMMARY_FIELDS: Final = (*COUNTS, LAST_CONTACT_DAYS)


class SegmentFilter(Value, frozen=True):
    """Condition of a segment on one field.

    Attributes:
        field: ``customer.<attribute>``, ``summary.<field>``, ``summary.<period type>.<field>`` of the day, week or
            month that it is now, or ``metric.<key>``.
        value: A text, a number, a truth value or null; a list of these for ``in`` and ``not_in``.
    """

    field: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    operator: Literal[
        "eq",
        "neq",
        "gt",
        "gte",
        "lt",
        "lte",
        "in",
        "not_in",
        "contains",
        "starts_with",
        "is_null",
        "is_not_null",
        "exists",
        "not_exists",
    ] = "eq"
    value: Any = None


class Segment(Entity, frozen=True):
    """Group of customers, defined by filters.

    Attributes:
        filters: Without any, the segment is empty.
        combinator: Whether all filters have to hold, or one of them.
    """

    entity_type: Literal["customer"] = "customer"
    filters: Annotated[Sequence[SegmentFilter], msgspec.Meta(max_length=MAX_FILTERS)] = ()
    combinator: Literal["AND", "OR"] = "AND"


class FieldSource(StrEnum):
    """Source of a filter's field."""

    CUSTOMER = "customer"
    SUMMARY = "summary"
    METRIC = "metric"


@dataclass(frozen=True, slots=True)
class SegmentField:
    """Parsed field of a filter.

    Attributes:
        name: Name of the attribute or of the summary's field, or key of the metric.
        period: Period of summaries.
    """

    source: FieldSource
    name: str
    period: PeriodType = PeriodType.ALLTIME


def parse_field(text: str) -> SegmentField | str:
    """Parse a field; return the fault as a text if it is none."""
    source, _, name = text.partition(".")
    if source == FieldSource.SUMMARY:
        period, dot, inner = name.partition(".")
        if not dot:
            period, inner = PeriodType.ALLTIME, name
        if period not in list(PeriodType):
            return f"summaries are {', '.join(PeriodType)}, not {period!r}"
        if inner not in SUMMARY_FIELDS:
            return f"summaries have {', '.join(SUMMARY_FIELDS)}, not {inner!r}"
        return SegmentField(FieldSource.SUMMARY, inner, PeriodType(period))
    if source not in list(FieldSource) or not name:
        return f"{text!r} is no field; customer.<attribute>, summary.<field> and metric.<key> are"
    return SegmentField(FieldSource(source), name)


def find_segment_faults(segment: Segment, known: Mapping[str, Collection[str]]) -> Iterator[Fault]:
    """Find every fault of a segment.

    Args:
        segment: Valid by its type.
        known: Existing names by kind; metrics are not checked if the kind is missing.
    """
    for index, condition in enumerate(segment.filters):
        path, field = f"filters[{index}]", parse_field(condition.field)
        if isinstance(field, str):
            yield Fault(f"{path}.field", field)
        elif field.source is FieldSource.METRIC and field.name not in known.get("metric", (field.name,)):
            yield Fault(f"{path}.field", f"there is no metric {field.name!r}")
        try:
            compile_condition(Condition(field=condition.field, operator=condition.operator, value=condition.value))
        except ConditionError as error:
            yield Fault(f"{path}.value", str(error))
        else:
            if fault := _check_value(condition):
                yield Fault(f"{path}.value", fault)


def list_metrics(segment: Segment) -> frozenset[str]:
    """List the keys of the metrics that a segment reads."""
    parsed = (parse_field(condition.field) for condition in segment.filters)
    fields = (field for field in parsed if isinstance(field, SegmentField))
    return frozenset(field.name for field in fields if field.source is FieldSource.METRIC)


def _check_value(condition: SegmentFilter) -> str:
    """Return the fault of a filter's value; empty if it has none."""
    values = condition.value if isinstance(condition.value, list | tuple) else [condition.value]
    if condition.operator not in ("in", "not_in") and isinstance(condition.value, list | tuple):
        return f"{condition.operator} needs one value, not a list"
    if len(values) > MAX_VALUES:
        return f"{len(values):,} values are too many; {MAX_VALUES:,} are allowed"
    if not all(value is None or isinstance(value, str | int | float) for value in values):
        return "values are texts, numbers, truth values or null"
    if condition.operator in ("contains", "starts_with") and condition.value in (None, ""):
        return f"{condition.operator} needs a text that is not empty"
    return ""
