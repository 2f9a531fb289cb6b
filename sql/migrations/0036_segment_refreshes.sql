-- One row is the latest refresh of one segment.
-- Read whole for a tenant: hence the order.
CREATE TABLE segment_refreshes
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    segment_id String COMMENT 'Segment, an entity of the catalogue',
    version UInt32 COMMENT 'Of the segment, whose filters were applied',
    customer_count UInt64 COMMENT 'Customers in it then',
    refreshed_at DateTime64(3, 'UTC') COMMENT 'When its members were worked out',
    stored_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'Version of the row'
)
ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (tenant_id, segment_id)
SETTINGS non_replicated_deduplication_window = 0
COMMENT 'When segments were last refreshed, and how large they were'
