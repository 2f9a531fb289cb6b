-- A row is one tenant with contact profiles that have ended and of which versions are left all the same.
SELECT tenant_id, groupUniqArray(profile_id) AS profile_ids
FROM contact_profile_versions
WHERE ended = '' AND (tenant_id, profile_id) IN
(
    SELECT tenant_id, profile_id
    FROM contact_profile_versions
    WHERE ended <> ''
)
GROUP BY tenant_id
ORDER BY tenant_id
