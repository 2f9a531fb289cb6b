-- A row is one version of one outcome type of one of the given tenants, or of any if none is given.
SELECT
    tenant_id,
    key,
    classification,
    category,
    is_conversion,
    allows_negative_value,
    is_active,
    toUnixTimestamp64Milli(effective_at) AS effective_at_ms
FROM outcome_types FINAL
WHERE empty({tenant_ids:Array(String)}) OR tenant_id IN {tenant_ids:Array(String)}
ORDER BY tenant_id, key, version
