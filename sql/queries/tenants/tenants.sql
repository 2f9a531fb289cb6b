-- A row is the newest version of one tenant, of the given ones, or of all if none is given.
SELECT
    tenant_id,
    name,
    time_zone,
    is_active,
    requests_per_minute,
    is_catalogue_strict,
    decision_quota
FROM tenants FINAL
WHERE empty({tenant_ids:Array(String)}) OR tenant_id IN {tenant_ids:Array(String)}
ORDER BY tenant_id
