-- One row is one event's claim of its idempotency key, written before anything else is known about the event.
-- Read by key, hence the order: almost every lookup finds nothing, and eight bytes a row tell. The rest of the sorting key
-- is the place in the log, so a repeated write of the same claim collapses. A claim that yields to another source is written again with has_yielded = 1.
-- Small granules and small compressed blocks: a batch looks up keys that lie far apart.
CREATE TABLE event_claims
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    customer_id String COMMENT 'Customer',
    key_hash UInt64 COMMENT 'XXH3 of the idempotency key; compared within one customer only',
    source LowCardinality(String) COMMENT 'Cluster, topic and partition of the log the event is in',
    offset UInt64 COMMENT 'Offset of its message',
    item UInt32 COMMENT 'Index in an array message',
    payload_hash UInt64 COMMENT 'Tells a repetition from another event that reuses the key',
    received_at DateTime64(3, 'UTC') COMMENT 'Broker time; the horizon of duplicates is measured with it',
    has_yielded UInt8 DEFAULT 0 COMMENT '1: another source counts this key',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the claim was first or last written'
)
ENGINE = ReplacingMergeTree(has_yielded)
ORDER BY (tenant_id, key_hash, customer_id, source, offset, item)
TTL toDateTime(stored_at) + INTERVAL 9 DAY DELETE -- the longest horizon is seven days; by stored_at, for logs read late
SETTINGS index_granularity = 512, min_compress_block_size = 1024, non_replicated_deduplication_window = 0
COMMENT 'Who claimed which idempotency key; what keeps a repeated event from counting twice'
