-- One row is one erasure of one customer: a tombstone that the stream honours. Events of the customer that the broker
-- received up to erased_at are left out, however often the log is read. There is no personal data in it. The row is
-- written before anything is deleted, and again when it is certain that nothing is left.
-- Read whole by workers when they start and from then on by what is new, so the order only needs to be the identity.
CREATE TABLE erasures
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    customer_hash String COMMENT 'SHA-256 over tenant, a zero byte and customer, hexadecimal',
    erased_at DateTime64(3, 'UTC') COMMENT 'What the broker received up to then does not count',
    receipt_id String COMMENT 'The receipt; customers who were merged share one',
    completed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when it is certain that nothing is left; null until then',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'Version of the row'
)
ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (tenant_id, customer_hash, erased_at)
SETTINGS non_replicated_deduplication_window = 0
COMMENT 'Which customers were erased, and when'
