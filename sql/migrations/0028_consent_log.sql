-- One row is one statement: from a time on, a customer has or has not consented to being contacted for a purpose.
-- Append-only: whoever is asked why somebody was contacted needs the statement that held then. Written again, a statement
-- is the same row. The latest one of a purpose counts, whatever the order in which they were stored; of two of the same
-- millisecond the stricter one, and the names of the statuses sort that way: granted, pending, revoked.
-- Decisions read a few customers at once by their ids: hence the order.
CREATE TABLE consent_log
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    customer_id String COMMENT 'Customer, as in events',
    purpose LowCardinality(String) COMMENT 'marketing, email, sms, push, phone, third_party, or one of the tenant''s own',
    stated_at DateTime64(3, 'UTC') COMMENT 'Since when it holds',
    status LowCardinality(String) COMMENT 'granted, pending or revoked',
    source LowCardinality(String) COMMENT 'manual, api, import or backfill',
    changed_by String COMMENT 'The key or the command that recorded it',
    request_id String COMMENT 'Trace of the request that recorded it, if one did',
    stored_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was recorded'
)
ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (tenant_id, customer_id, purpose, stated_at, status)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 0
COMMENT 'Every statement about consent; the latest of each purpose counts and is in consents'
