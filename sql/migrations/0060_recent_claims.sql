-- One row is one insert into event_claims from one source's log. Workers that look what others have claimed since read
-- the rows whose last offset is not below the progress they know: few rows, of which only these are read whole. Rows with
-- other keys are others: a worker writes part of its claims again where it yields.
CREATE TABLE recent_claims
(
    source LowCardinality(String) COMMENT 'Cluster, topic and partition of the log',
    first_offset UInt64 COMMENT 'Lowest offset of the claiming messages',
    last_offset UInt64 COMMENT 'Highest',
    key_hashes Array(UInt64) COMMENT 'Claimed idempotency keys, as in event_claims',
    stored_at DateTime64(3, 'UTC') COMMENT 'When the claims were written'
)
ENGINE = ReplacingMergeTree
PARTITION BY toStartOfHour(stored_at)
ORDER BY (source, last_offset, first_offset, cityHash64(key_hashes))
TTL toDateTime(stored_at) + INTERVAL 2 HOUR DELETE
SETTINGS index_granularity = 64, index_granularity_bytes = 1048576, ttl_only_drop_parts = 1, merge_with_ttl_timeout = 900, non_replicated_deduplication_window = 0
COMMENT 'Idempotency keys that were claimed within the last hours, by place in the log'
