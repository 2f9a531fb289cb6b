-- One row is one state of one request of a customer about the customer's own data; the newest counts. Kept so that a
-- request survives the process that works on it. When a deletion is done the subject is only there as a hash, and the
-- states before are deleted.
-- Listed per tenant, and looked up by id: few rows either way.
CREATE TABLE dsar_requests
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    request_id String COMMENT 'Identifies the request; ascends with time',
    request_type LowCardinality(String) COMMENT 'export or delete',
    subject_id String COMMENT 'The customer or the e-mail address; sha256:… once it was erased',
    subject_type LowCardinality(String) COMMENT 'customer_id or email',
    requested_by String COMMENT 'The key that asked',
    requested_at DateTime64(3, 'UTC') COMMENT 'When it asked',
    status LowCardinality(String) COMMENT 'queued, processing, completed or failed',
    attempts UInt32 COMMENT 'How often a process has taken it up',
    taken_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When a process last took it up, or said that it is still at it',
    completed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was done',
    result String CODEC(ZSTD(3)) COMMENT 'JSON: what was exported, or the receipt of the deletion; why it failed',
    revision UInt32 COMMENT 'Ascends with every state; the version of the row',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was written'
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (tenant_id, request_id)
SETTINGS non_replicated_deduplication_window = 0
COMMENT 'Requests of customers about their own data'
