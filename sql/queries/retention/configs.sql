-- A row is the retention of one data class of one tenant, or of every tenant.
SELECT
    tenant_id,
    data_class,
    retention_days,
    legal_hold,
    changed_by,
    toUnixTimestamp64Milli(updated_at) AS updated_at_ms
FROM retention_configs FINAL
WHERE tenant_id = {tenant_id:String} OR {tenant_id:String} = ''
ORDER BY tenant_id, data_class
