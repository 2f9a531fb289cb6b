-- One row is one version of how long a tenant keeps data of one class; the newest counts. Without a row data is kept.
-- Few rows, read per tenant.
CREATE TABLE retention_configs
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    data_class LowCardinality(String) COMMENT 'interactions, summaries_daily, summaries_weekly, summaries_monthly, decisions, dead_letters or dsar_requests',
    retention_days UInt32 COMMENT 'How long it is kept; 0 for as long as there is no erasure',
    legal_hold Bool DEFAULT false COMMENT 'While true nothing of the class is deleted for its age',
    changed_by String COMMENT 'The key or the command that made the version',
    updated_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'Version of the row'
)
ENGINE = ReplacingMergeTree(updated_at)
ORDER BY (tenant_id, data_class)
COMMENT 'How long data is kept'
