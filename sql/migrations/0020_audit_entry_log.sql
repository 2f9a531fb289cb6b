-- One row is one audited change: who did what to what, and what it was before and after.
-- Append-only. The rows of a tenant form a chain: each hash covers the row and the hash of the one before it.
-- An append writes its rows in one insert, under the batch number that follows the newest one there is; of several
-- attempts at one batch the insert stored first counts, the others write again. So the chain has no forks: attempts that
-- do not count are left out by audit_entries. (The order of inserts: see catalogue_entity_versions.)
-- Read per tenant, newest first or from the first on: hence the order.
CREATE TABLE audit_entry_log
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    seq UInt64 COMMENT 'Place in the chain of the tenant: 1 for the first; ascends by one',
    batch UInt64 COMMENT 'The append that wrote it; ascends by one',
    change_id String COMMENT 'Identifies the attempt at the append',
    at DateTime64(3, 'UTC') COMMENT 'When the change was made',
    actor String COMMENT 'The key or the command that made it',
    action LowCardinality(String) COMMENT 'create, update, soft_delete, restore, publish, revoke …',
    entity_type LowCardinality(String) COMMENT 'offer, creative, api_key …',
    entity_id String COMMENT 'Names the entity',
    entity_name String COMMENT 'For people',
    entity_version UInt32 COMMENT 'The version that the change made; 0 where there are none',
    revision UInt64 COMMENT 'Of the catalogue, for changes of it; 0 for others',
    before String CODEC(ZSTD(3)) COMMENT 'JSON; empty if there was nothing',
    after String CODEC(ZSTD(3)) COMMENT 'JSON; empty if there is nothing left',
    request_id String COMMENT 'Trace of the request that made it, if one did',
    prev_hash String COMMENT 'Hash of the row before; empty for the first',
    hash String COMMENT 'SHA-256 of this row without its hash, hexadecimal'
)
ENGINE = MergeTree
ORDER BY (tenant_id, seq)
SETTINGS index_granularity = 512, non_replicated_deduplication_window = 0, enable_block_number_column = 1
COMMENT 'Every attempt at an entry of the audit log; read audit_entries'
