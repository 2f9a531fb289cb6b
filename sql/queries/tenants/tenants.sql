-- A row is one tenant as it is now.
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
