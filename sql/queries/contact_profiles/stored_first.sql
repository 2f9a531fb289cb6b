-- The row is the attempt that was stored first, and so counts, at one version of a contact profile; there is none if
-- all were removed.
SELECT change_id
FROM contact_profile_versions
WHERE tenant_id = {tenant_id:String} AND profile_id = {profile_id:String} AND version = {version:UInt32}
ORDER BY _block_number
LIMIT 1
