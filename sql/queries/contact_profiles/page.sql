-- The row is one page of a tenant's contact profiles, the newest first, and the number on all pages.
SELECT
    count() AS total,
    arraySlice(
        arrayReverseSort(groupArrayIf(p.profile_id, {before_id:String} = '' OR p.profile_id < {before_id:String})),
        1,
        {limit:UInt32}
    ) AS profile_ids
FROM
(
    SELECT profile_id, project_id, contact_ids, email, is_active, ended, changed_at
    FROM contact_profile_versions
    WHERE tenant_id = {tenant_id:String}
    ORDER BY profile_id, version DESC, _block_number
    LIMIT 1 BY profile_id
) AS p
LEFT JOIN
(
    SELECT profile_id, max(last_read_at) AS last_read_at
    FROM contact_profile_reads
    WHERE tenant_id = {tenant_id:String}
    GROUP BY profile_id
) AS r ON r.profile_id = p.profile_id
WHERE p.ended = ''
    AND greatest(p.changed_at, r.last_read_at) >= {touched_since:DateTime64(3, 'UTC')}
    AND ({contact_id:String} = '' OR has(p.contact_ids, {contact_id:String}))
    AND ({email:String} = '' OR lowerUTF8(p.email) = lowerUTF8({email:String}))
    AND ({project_id:String} = '' OR p.project_id = {project_id:String})
    AND ({activity:String} = '' OR p.is_active = ({activity:String} = 'active'))
