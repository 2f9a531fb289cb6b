-- A row is one tenant as it is now.
SELECT tenant_id, name, time_zone, is_active FROM tenants FINAL ORDER BY tenant_id
