-- One row is one customer who is or was in one segment, as the refresh that last changed it found out. Nothing is written
-- of customers whose membership stays as it is, so that member_since is kept.
-- Decisions and profiles read all segments of one customer: hence the order.
CREATE TABLE segment_members
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    customer_id String COMMENT 'Customer, as in events',
    segment_id String COMMENT 'Segment, an entity of the catalogue',
    is_member Bool COMMENT 'False: was in it once',
    member_since DateTime64(3, 'UTC') COMMENT 'The refresh that first found the customer in it; again, after having left',
    refreshed_at DateTime64(3, 'UTC') COMMENT 'The refresh that wrote the row',
    stored_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'Version of the row; by the clock of the database, because those of processes differ'
)
ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (tenant_id, customer_id, segment_id)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 0
COMMENT 'Who is in which segment, and since when'
