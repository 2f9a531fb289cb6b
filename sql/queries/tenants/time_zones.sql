-- A row is one active tenant with its time zone.
SELECT tenant_id, time_zone
FROM tenants FINAL
WHERE is_active
