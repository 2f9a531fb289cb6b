-- One row is one version of one setting of a tenant, of those that table tenants has no column for; the newest counts. What
-- is not here has its default.
-- All settings of all tenants are read together with the tenants, and they are few: the order is the identity.
CREATE TABLE tenant_settings
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    name LowCardinality(String) COMMENT 'As in the code: requires_consent …',
    value String COMMENT 'JSON',
    updated_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'Version of the row'
)
ENGINE = ReplacingMergeTree(updated_at)
ORDER BY (tenant_id, name)
COMMENT 'What was chosen for tenants beyond the columns of table tenants'
