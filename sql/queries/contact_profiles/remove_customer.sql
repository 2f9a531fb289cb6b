-- Deletes every version of the contact profiles that have ever named one of some customers of a tenant.
ALTER TABLE contact_profile_versions
DELETE WHERE tenant_id = {tenant_id:String}
    AND profile_id IN
    (
        SELECT profile_id
        FROM contact_profile_versions
        WHERE tenant_id = {tenant_id:String} AND hasAny(customer_ids, {customer_ids:Array(String)})
    )
SETTINGS mutations_sync = 1
