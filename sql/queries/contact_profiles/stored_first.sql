-- The row is the attempt at a version of a contact profile that counts: the one stored first; none if all are removed.
SELECT change_id
FROM contact_profile_versions
WHERE tenant_id = {tenant_id:String} AND profile_id = {profile_id:String} AND version = {version:UInt32}
ORDER BY _block_number
LIMIT 1
