-- A row is the current value of one setting of one tenant, of those for which table tenants has no column.
SELECT tenant_id, name, value
FROM tenant_settings FINAL
ORDER BY tenant_id, name
