"""Retention of data: read and changed; ``rapport jobs`` applies it once a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from api.http.trace_id import current_trace_id
from rapport.domain.audit import AuditDraft, encode_canonical
from rapport.storage.audit import append_audit
from rapport.storage.retention import load_configs, save_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.http.times import Clock
    from rapport.domain.retention import DataClass
    from rapport.storage.database import Database
    from rapport.storage.retention import RetentionConfig


class RetentionService:
    """Retention of every tenant's data."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def list_configs(self, tenant_id: str) -> Sequence[RetentionConfig]:
        """List the configuration of every class of data."""
        return await self._database.call(load_configs, tenant_id)

    async def change(self, tenant_id: str, actor: str, config: RetentionConfig) -> RetentionConfig:
        """Change the configuration of one class of data, and note it in the audit log."""
        before = await self._find(tenant_id, config.data_class)
        await self._database.call(save_config, tenant_id, config)
        after = await self._find(tenant_id, config.data_class)
        draft = AuditDraft(
            at_ms=self._clock(),
            actor=actor,
            action="update",
            entity_type="retention_config",
            entity_id=config.data_class.value,
            before=encode_canonical(msgspec.to_builtins(before)),
            after=encode_canonical(msgspec.to_builtins(after)),
            request_id=current_trace_id(),
        )
        await self._database.call(append_audit, tenant_id, [draft])
        return after

    async def _find(self, tenant_id: str, data_class: DataClass) -> RetentionConfig:
        configs = await self._database.call(load_configs, tenant_id)
        return next(config for config in configs if config.data_class is data_class)
