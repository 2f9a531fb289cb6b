-- One row is one audited change.
CREATE VIEW audit_entries
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    seq UInt64 COMMENT 'Place in the chain of the tenant',
    batch UInt64 COMMENT 'The append that wrote it',
    at DateTime64(3, 'UTC') COMMENT 'When the change was made',
    actor String COMMENT 'The key or the command that made it',
    action LowCardinality(String) COMMENT 'create, update, soft_delete, restore, publish, revoke …',
    entity_type LowCardinality(String) COMMENT 'offer, creative, api_key …',
    entity_id String COMMENT 'Names the entity',
    entity_name String COMMENT 'For people',
    entity_version UInt32 COMMENT 'The version that the change made; 0 where there are none',
    revision UInt64 COMMENT 'Of the catalogue, for changes of it; 0 for others',
    before String COMMENT 'JSON; empty if there was nothing',
    after String COMMENT 'JSON; empty if there is nothing left',
    request_id String COMMENT 'Trace of the request that made it, if one did',
    prev_hash String COMMENT 'Hash of the row before; empty for the first',
    hash String COMMENT 'SHA-256 of this row without its hash, hexadecimal'
)
AS SELECT
    tenant_id,
    seq,
    batch,
    at,
    actor,
    action,
    entity_type,
    entity_id,
    entity_name,
    entity_version,
    revision,
    before,
    after,
    request_id,
    prev_hash,
    hash
FROM
(
    SELECT
        *,
        _block_number = min(_block_number) OVER (PARTITION BY tenant_id, batch) AS counts
    FROM audit_entry_log
)
WHERE counts
COMMENT 'Who changed what, when, from what to what'
