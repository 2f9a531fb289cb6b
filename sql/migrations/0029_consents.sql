-- One row is the consent of one customer to one purpose as it is now.
CREATE VIEW consents
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    customer_id String COMMENT 'Customer, as in events',
    purpose LowCardinality(String) COMMENT 'marketing, email, sms, push, phone, third_party, or one of the tenant''s own',
    status LowCardinality(String) COMMENT 'granted, pending or revoked',
    source LowCardinality(String) COMMENT 'Of the statement that counts: manual, api, import or backfill',
    stated_at DateTime64(3, 'UTC') COMMENT 'Since when it holds',
    granted_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was last granted, if ever',
    revoked_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was last revoked, if ever',
    updated_at DateTime64(6, 'UTC') COMMENT 'When the statement that counts was recorded'
)
AS SELECT
    c.tenant_id AS tenant_id,
    c.customer_id AS customer_id,
    c.purpose AS purpose,
    argMax(c.status, (c.stated_at, c.status)) AS status,
    argMax(c.source, (c.stated_at, c.status, c.stored_at)) AS source,
    max(c.stated_at) AS stated_at,
    maxOrNullIf(c.stated_at, c.status = 'granted') AS granted_at,
    maxOrNullIf(c.stated_at, c.status = 'revoked') AS revoked_at,
    argMax(c.stored_at, (c.stated_at, c.status, c.stored_at)) AS updated_at
FROM consent_log AS c
GROUP BY c.tenant_id, c.customer_id, c.purpose
COMMENT 'What every customer has consented to, as far as it was recorded'
