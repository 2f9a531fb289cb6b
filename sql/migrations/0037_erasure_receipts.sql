-- One row is the receipt of one erasure: what was deleted, of whom only by hash. Written when it is done, and again if it is
-- repeated.
-- Asked for by id.
CREATE TABLE erasure_receipts
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    receipt_id String COMMENT 'Identifies the erasure',
    customer_hashes Array(String) COMMENT 'Of the customers who were erased together; see erasures',
    erased_at DateTime64(3, 'UTC') COMMENT 'What the broker received up to then does not count',
    completed_at DateTime64(3, 'UTC') COMMENT 'When it was done',
    deleted String COMMENT 'A JSON object: rows by table',
    is_verified Bool COMMENT 'Whether nothing was found afterwards in any table',
    requested_by String COMMENT 'The key or the command that asked for it',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'Version of the row'
)
ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (tenant_id, receipt_id)
SETTINGS non_replicated_deduplication_window = 0
COMMENT 'Receipts of erasures'
