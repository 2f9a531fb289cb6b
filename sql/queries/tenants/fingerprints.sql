-- A row is one tenant, with a number that changes whenever anything of the tenant does. It may change without that, when
-- ClickHouse merges away older versions.
SELECT tenant_id, sum(fingerprint) AS fingerprint
FROM
(
    SELECT tenant_id, cityHash64(1, *) AS fingerprint FROM tenants
    UNION ALL
    SELECT tenant_id, cityHash64(2, *) AS fingerprint FROM outcome_types
    UNION ALL
    SELECT tenant_id, cityHash64(3, *) AS fingerprint FROM tenant_settings
)
GROUP BY tenant_id
