-- The one row is the state of a tenant's merges; erasure removes rows, so their number is part of it.
SELECT count() AS statements, toUnixTimestamp64Micro(max(stored_at)) AS newest_us
FROM identity_merges
WHERE tenant_id = {tenant_id:String}
