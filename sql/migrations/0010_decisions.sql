-- One row is one recommendation, in full. Rewritten after a crash with the same values.
CREATE TABLE decisions
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    customer_id String COMMENT 'Customer',
    recommendation_id String COMMENT 'Identifies the recommendation',
    decided_at DateTime64(3, 'UTC') COMMENT 'When it was made',
    received_at DateTime64(3, 'UTC') COMMENT 'When the broker got it',
    decision String CODEC(ZSTD(3)) COMMENT 'JSON: what was decided and why',
    source LowCardinality(String) COMMENT 'Cluster, topic and partition',
    offset UInt64 COMMENT 'Offset of its message',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was written'
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, customer_id, recommendation_id)
SETTINGS non_replicated_deduplication_window = 0
COMMENT 'Every recommendation with its trace'
