-- A row is the newest version of one of the given contact profiles, ended ones included, with the time of its last
-- read.
SELECT
    p.profile_id AS profile_id,
    version,
    change_id,
    project_id,
    profile,
    contact_ids,
    is_active,
    toUnixTimestamp64Milli(uncollected_since) AS uncollected_since_ms,
    ended,
    toUnixTimestamp64Milli(created_at) AS created_at_ms,
    created_by,
    toUnixTimestamp64Milli(changed_at) AS changed_at_ms,
    changed_by,
    toUnixTimestamp64Milli(r.last_read_at) AS last_read_at_ms
FROM
(
    SELECT *
    FROM contact_profile_versions
    WHERE tenant_id = {tenant_id:String} AND profile_id IN {profile_ids:Array(String)}
    ORDER BY profile_id, version DESC, _block_number
    LIMIT 1 BY profile_id
) AS p
LEFT JOIN
(
    SELECT profile_id, max(last_read_at) AS last_read_at
    FROM contact_profile_reads
    WHERE tenant_id = {tenant_id:String} AND profile_id IN {profile_ids:Array(String)}
    GROUP BY profile_id
) AS r ON r.profile_id = p.profile_id
ORDER BY profile_id DESC
