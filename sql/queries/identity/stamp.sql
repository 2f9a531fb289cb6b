-- The one row says which state a tenant's merges are in; erasure takes rows away, so their number counts, too.
SELECT count() AS statements, toUnixTimestamp64Micro(max(stored_at)) AS newest_us
FROM identity_merges
WHERE tenant_id = {tenant_id:String}
