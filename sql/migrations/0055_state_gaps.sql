-- One row is one change of customers that was not announced to the customer states in Valkey, because its writer could
-- not reach them. Readers of the states, who read the newest gap of each tenant together with the progress of the
-- stream, then forget all states of the tenant. Read whole, several times a second: so the newest alone is kept, one row
-- a tenant; its time, to the nanosecond, is the version.
CREATE TABLE state_gaps
(
    tenant_id LowCardinality(String) COMMENT 'Tenant of the customers; empty for all tenants',
    reason LowCardinality(String) COMMENT 'What was changed',
    recorded_at DateTime64(9, 'UTC') DEFAULT now64(9) COMMENT 'When, by the clock of the database'
)
ENGINE = ReplacingMergeTree(recorded_at)
ORDER BY tenant_id
SETTINGS non_replicated_deduplication_window = 0
COMMENT 'Latest change of each tenant''s customers that the customer states in Valkey do not show'
