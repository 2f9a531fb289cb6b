-- A row is how long a tenant, or every tenant, keeps one class of data.
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
