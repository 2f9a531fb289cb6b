-- One row is the wish, or the fulfilment, of recomputing one customer's summary rows of one source from the history.
-- The worker that owns the source does it between two batches, so no running batch can overwrite it.
CREATE TABLE summary_repairs
(
    repair_id String COMMENT 'One run of rapport reconcile --repair',
    source String COMMENT 'Cluster, topic and partition',
    tenant_id String COMMENT 'Tenant',
    customer_id String COMMENT 'Customer',
    is_done UInt8 DEFAULT 0 COMMENT '1: recomputed; the version of the row',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was written'
)
ENGINE = ReplacingMergeTree(is_done)
ORDER BY (source, repair_id, tenant_id, customer_id)
TTL toDateTime(stored_at) + INTERVAL 7 DAY DELETE -- of use only while the repair runs
COMMENT 'Summary rows to recompute from the history'
