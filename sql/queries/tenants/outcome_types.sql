-- A row is one version of one outcome type of one tenant.
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
ORDER BY tenant_id, key, version
