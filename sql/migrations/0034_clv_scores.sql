-- One row is the value of one customer, as it was when the values of the tenant's customers were last worked out together.
-- What it is worked out of can change or end, so it is a copy to be made again, never a source: the newest one counts.
-- Read by customer: hence the order.
CREATE TABLE clv_scores
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    customer_id String COMMENT 'Customer',
    score Float64 COMMENT 'From 0 to 100: recency, frequency and monetary value by the tenant''s mid-ranks',
    segment LowCardinality(String) COMMENT 'high, medium, low or at_risk',
    recency_days UInt32 COMMENT 'Whole days from the last contact to computed_at',
    frequency UInt64 COMMENT 'Contacts: impressions and responses',
    monetary Decimal(38, 6) COMMENT 'Value of positive outcomes, in the tenant''s currency',
    computed_at DateTime64(3, 'UTC') COMMENT 'As of when; the version of the row'
)
ENGINE = ReplacingMergeTree(computed_at)
ORDER BY (tenant_id, customer_id)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 0
COMMENT 'What customers are worth'
