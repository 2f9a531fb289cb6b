"""Pages of lists of entities: filters, orders and cursors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from api.http.cursors import BAD_CURSOR, Cursors, Pagination, build_pagination
from api.http.errors import invalid
from rapport.domain.faults import Fault
from rapport.storage.catalogue import EntityVersion, StoredCatalogue

_Position = tuple[float | str, float | str, str]
"""What a list is ordered by, ascending; the id comes last, so that no two are equal."""
_CURSORS: Final = Cursors[_Position](_Position)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityFilter:
    """Filter of a list of entities.

    Attributes:
        status: With this status; empty for any.
        search: With this text in their names, ids, keys or descriptions, whatever its case.
        name: Called exactly so.
        fields: Attribute -> value, for some kinds.
        with_deleted: Whether deleted ones are wanted, too.
    """

    status: str = ""
    search: str = ""
    name: str = ""
    fields: Mapping[str, str]
    with_deleted: bool = False


def select_page(
    catalogue: StoredCatalogue, kind: str, wanted: EntityFilter, cursor: str | None, limit: int
) -> tuple[Sequence[EntityVersion], Pagination]:
    """Select one page of a kind.

    Raises:
        ApiError: 400; the cursor is none.
    """
    position = _ORDERS.get(kind, _newest_first)
    faults: list[Fault] = []
    after = _CURSORS.read(cursor, faults)
    if faults:
        raise invalid(*faults)
    fitting = sorted(
        (record for record in catalogue.records.get(kind, {}).values() if _fits(record, wanted)), key=position
    )
    try:
        rest = [record for record in fitting if after is None or position(record) > after]
    except TypeError:  # of a list with another order
        raise invalid(BAD_CURSOR) from None
    shown, following = _CURSORS.cut(rest, limit, position)
    return shown, build_pagination(len(fitting), limit, following)


def _fits(record: EntityVersion, wanted: EntityFilter) -> bool:
    entity = record.entity
    if entity is None or (record.is_deleted and not wanted.with_deleted):
        return False
    if wanted.status and entity.status != wanted.status:
        return False
    if wanted.name and entity.name != wanted.name:
        return False
    if wanted.search:
        texts = (entity.name, entity.id, getattr(entity, "key", ""), entity.description)
        if not any(wanted.search.casefold() in text.casefold() for text in texts):
            return False
    return all(_holds(getattr(entity, name), value) for name, value in wanted.fields.items())


def _holds(actual: object, value: str) -> bool:
    return value in actual if isinstance(actual, list | tuple) else actual == value


def _newest_first(record: EntityVersion) -> _Position:
    return -record.created_at_ms, "", record.id


def _by_ordinal(record: EntityVersion) -> _Position:
    return getattr(record.entity, "ordinal", 0), "", record.id


def _by_priority(record: EntityVersion) -> _Position:
    return -getattr(record.entity, "priority", 0), -record.created_at_ms, record.id


def _by_status(record: EntityVersion) -> _Position:
    return record.entity.status.value if record.entity else "", -record.updated_at_ms, record.id


_ORDERS: Final[Mapping[str, Callable[[EntityVersion], _Position]]] = {
    "category": _by_ordinal,
    "sub_category": _by_ordinal,
    "contact_policy": _by_priority,
    "qualification_rule": _by_priority,
    "decision_flow": _by_status,
}
