-- A row is the current value of one setting, of those for which table tenants has no column, of one of the given
-- tenants, or of any if none is given.
SELECT tenant_id, name, value
FROM tenant_settings FINAL
WHERE empty({tenant_ids:Array(String)}) OR tenant_id IN {tenant_ids:Array(String)}
ORDER BY tenant_id, name
