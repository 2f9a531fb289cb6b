-- One row is one version of one customer: all the attributes that the tenant keeps of somebody, as they were from then on.
-- Append-only: what a customer was when a decision was made can be read later. Of several attempts at one version the one
-- stored first counts, so a writer who has not seen the newest version never covers it: hence the engine, which never
-- collapses, and the block number, which ascends in the order in which inserts became visible (see
-- catalogue_entity_versions).
-- Decisions read a few customers at once by their ids, and histories are read of one: hence the order.
-- Read customers instead, which leaves out the attempts that do not count.
CREATE TABLE customer_versions
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    customer_id String COMMENT 'Customer, as in events',
    version UInt32 COMMENT 'Of the customer: 1 for the first; ascends by one',
    change_id String COMMENT 'Identifies the attempt at a change, which may be one of many customers',
    attributes String CODEC(ZSTD(3)) COMMENT 'A JSON object: value by name',
    is_deleted Bool DEFAULT false COMMENT 'Whether this version ends the customer; the attributes are empty then',
    changed_by String COMMENT 'The key or the command that made the version',
    request_id String COMMENT 'Trace of the request that made it, if one did',
    stored_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When the version was made'
)
ENGINE = MergeTree
ORDER BY (tenant_id, customer_id, version)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 0, enable_block_number_column = 1
COMMENT 'Every attempt at a version of a customer; read customers'
