-- A row is one contact profile, of any tenant, that was not read or changed since a time and has not ended.
SELECT p.tenant_id AS tenant_id, p.profile_id AS profile_id
FROM
(
    SELECT tenant_id, profile_id, ended, changed_at
    FROM contact_profile_versions
    ORDER BY tenant_id, profile_id, version DESC, _block_number
    LIMIT 1 BY tenant_id, profile_id
) AS p
LEFT JOIN
(
    SELECT tenant_id, profile_id, max(last_read_at) AS last_read_at
    FROM contact_profile_reads
    GROUP BY tenant_id, profile_id
) AS r ON r.tenant_id = p.tenant_id AND r.profile_id = p.profile_id
WHERE p.ended = '' AND greatest(p.changed_at, r.last_read_at) < {touched_since:DateTime64(3, 'UTC')}
ORDER BY tenant_id, profile_id
