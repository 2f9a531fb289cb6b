-- One row is one row of any table, or one dead letter, that an export of a customer's data holds. Written by the engine
-- out of the tables themselves, so that an export takes no memory however large it is; a request that is tried again
-- writes another attempt, and the one that is complete counts.
-- Read page after page in the order of the key, which no two rows of an attempt share. An erasure finds the table by its column customer_ids.
CREATE TABLE dsar_exports
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    request_id String COMMENT 'The request in dsar_requests',
    attempt UInt32 COMMENT 'Its attempt',
    table_name LowCardinality(String) COMMENT 'Where the row is from',
    position UInt64 COMMENT 'Ascends within a table',
    customer_ids Array(String) CODEC(ZSTD(3)) COMMENT 'Whom the request is about',
    requested_at DateTime64(3, 'UTC') COMMENT 'When it was handed in',
    body String CODEC(ZSTD(3)) COMMENT 'The row as a JSON object',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was written'
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, request_id, attempt, table_name, position)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 0
COMMENT 'What exports of customers'' data hold'
