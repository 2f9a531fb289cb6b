-- One row is one point from which on summaries of a tenant can be compared with the history, written before what lies before
-- it is deleted. The furthest counts. Without a row everything can.
-- Few rows, read together with the summaries of a tenant.
CREATE TABLE retention_horizons
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    period_type LowCardinality(String) COMMENT 'daily, weekly, monthly or alltime',
    first_key String COMMENT 'Key of the first period that can be compared; ~ if there is none any more',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was written'
)
ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (tenant_id, period_type, first_key)
COMMENT 'From which period on the history proves the summaries'
