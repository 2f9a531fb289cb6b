-- Deletes every version of the contact profiles that up to a time have named one of some customers. By hash, because
-- the text of a deletion is stored.
ALTER TABLE contact_profile_versions
DELETE WHERE tenant_id = {tenant_id:String} AND profile_id IN
(
    SELECT profile_id
    FROM contact_profile_versions
    WHERE tenant_id = {tenant_id:String}
        AND changed_at <= fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')
        AND arrayExists(x -> lower(hex(SHA256(concat(tenant_id, '\0', x)))) IN {hashes:Array(String)}, customer_ids)
)
SETTINGS mutations_sync = 2
