-- A row is one tenant with the contact profiles that have ended but still have versions with contents.
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
