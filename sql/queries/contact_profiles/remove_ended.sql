-- Deletes the versions of contact profiles that have ended, except those that record the end.
ALTER TABLE contact_profile_versions
DELETE WHERE tenant_id = {tenant_id:String}
    AND ended = ''
    AND profile_id IN
    (
        SELECT profile_id
        FROM contact_profile_versions
        WHERE tenant_id = {tenant_id:String} AND profile_id IN {profile_ids:Array(String)} AND ended <> ''
    )
SETTINGS mutations_sync = 1
