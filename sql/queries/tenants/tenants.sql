-- A row is the newest version of one tenant.
SELECT
    tenant_id,
    name,
    time_zone,
    is_active,
    requests_per_minute,
    is_catalogue_strict,
    decision_quota
FROM tenants FINAL
ORDER BY tenant_id
