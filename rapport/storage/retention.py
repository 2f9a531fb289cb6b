"""Retention: deletes rows that are older than their tenant keeps them.

Summaries outlive their events. So before interactions are deleted, the first period for which the history is still
complete is recorded: ``rapport reconcile`` compares, and repairs, only from there on. After a crash between the record
and the deletion less is compared than could be, and the next run deletes the rest. Age is measured by the broker's
time, so that no deletion affects messages that a worker may be working on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec
import polars as pl

from rapport.domain.periods import DAY_MS, PeriodType
from rapport.domain.retention import PERIOD_OF, DataClass, find_first_kept_period, find_first_provable_periods
from rapport.storage.personal_data import SUMMARIES
from rapport.storage.state_gaps import announce_change
from rapport.storage.table_names import name_view

if TYPE_CHECKING:
    from rapport.storage.client import Store

_TABLES: Final[Mapping[DataClass, Mapping[str, str]]] = {
    DataClass.INTERACTIONS: {"interaction_log": "received_at"},
    DataClass.DECISIONS: {
        "decisions": "decided_at",
        "decision_places": "decided_at",
        "variant_assignment_log": "decided_at",
    },
    DataClass.DEAD_LETTERS: {"dead_letter_state": "received_at"},
    DataClass.DSAR_REQUESTS: {"dsar_requests": "requested_at", "dsar_exports": "requested_at"},
}
"""Tables of each data class, with the column that holds a row's time."""


class RetentionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Retention of one data class of a tenant.

    Attributes:
        retention_days: 0 keeps the data without limit.
        legal_hold: Whether nothing is deleted for its age, whatever the days.
    """

    data_class: DataClass
    retention_days: int = 0
    legal_hold: bool = False
    changed_by: str = ""
    updated_at_ms: int = 0


def load_configs(store: Store, tenant_id: str) -> list[RetentionConfig]:
    """Load a tenant's retention of each data class; the default where the tenant has set none."""
    found = _read_configs(store, tenant_id).get(tenant_id, {})
    return [found.get(one, RetentionConfig(data_class=one)) for one in DataClass]


def save_config(store: Store, tenant_id: str, config: RetentionConfig) -> None:
    """Set the retention of a data class from now on."""
    row = {
        "tenant_id": tenant_id,
        "data_class": config.data_class.value,
        "retention_days": config.retention_days,
        "legal_hold": config.legal_hold,
        "changed_by": config.changed_by,
    }
    store.insert("retention_configs", pl.DataFrame([row], schema_overrides={"retention_days": pl.UInt32}))


def list_tenants_with_retention(store: Store) -> list[str]:
    """List the tenants that have set the retention of any data class."""
    return sorted(_read_configs(store, ""))


def apply_retention(store: Store, tenant_id: str, now_ms: int) -> dict[str, int]:
    """Delete a tenant's expired rows. May be repeated, and run in several processes at once.

    Returns:
        Rows deleted, by the name of the view or table.
    """
    deleted: dict[str, int] = {}
    for config in _read_configs(store, tenant_id).get(tenant_id, {}).values():
        if config.retention_days and not config.legal_hold:
            for table, rows in _delete_expired(store, tenant_id, config, now_ms).items():
                deleted[table] = deleted.get(table, 0) + rows
    if deleted:
        announce_change(store, tenant_id, "retention")
    return deleted


def _delete_expired(store: Store, tenant_id: str, config: RetentionConfig, now_ms: int) -> dict[str, int]:
    period_type = PERIOD_OF.get(config.data_class)
    if period_type is not None:
        first_key = find_first_kept_period(period_type, now_ms, config.retention_days)
        return _delete_summaries(store, tenant_id, period_type, first_key)
    before_ms = now_ms - config.retention_days * DAY_MS
    deleted: dict[str, int] = {}
    for table, since in _TABLES[config.data_class].items():
        old = {"tenant_id": tenant_id, "table": table, "since": since, "before_ms": before_ms}
        rows = int(store.rows("retention/count_before", old)[0]["rows"])
        if not rows:
            continue
        if config.data_class is DataClass.INTERACTIONS:
            _write_horizons(store, tenant_id, find_first_provable_periods(before_ms))
        store.command("retention/delete_before", old)
        deleted[name_view(table)] = rows
    return deleted


def _delete_summaries(store: Store, tenant_id: str, period_type: PeriodType, first_key: str) -> dict[str, int]:
    old = {"tenant_id": tenant_id, "period_type": period_type.value, "first_key": first_key}
    rows = int(store.rows("retention/count_summaries", old)[0]["rows"])
    if not rows:
        return {}
    _write_horizons(store, tenant_id, {period_type: first_key})
    store.command("retention/delete_summaries", old)
    return {name_view(SUMMARIES): rows}


def _write_horizons(store: Store, tenant_id: str, first_keys: Mapping[PeriodType, str]) -> None:
    rows = [
        {"tenant_id": tenant_id, "period_type": period_type.value, "first_key": key}
        for period_type, key in first_keys.items()
    ]
    store.insert("retention_horizons", pl.DataFrame(rows))


def _read_configs(store: Store, tenant_id: str) -> dict[str, dict[DataClass, RetentionConfig]]:
    found: dict[str, dict[DataClass, RetentionConfig]] = {}
    for row in store.rows("retention/configs", {"tenant_id": tenant_id}):
        data_class = DataClass(row["data_class"])
        found.setdefault(row["tenant_id"], {})[data_class] = RetentionConfig(
            data_class=data_class,
            retention_days=row["retention_days"],
            legal_hold=bool(row["legal_hold"]),
            changed_by=row["changed_by"],
            updated_at_ms=row["updated_at_ms"],
        )
    return found
