-- A row is one setting of one tenant as it is now, of those that table tenants has no column for.
SELECT tenant_id, name, value
FROM tenant_settings FINAL
ORDER BY tenant_id, name
