-- A row is one customer, of any tenant, of whom no personal data may be collected, and since when. Profiles that have
-- not ended decide; where all have ended, expired ones do.
SELECT tenant_id, customer_id, toUnixTimestamp64Milli(assumeNotNull(since)) AS since_ms
FROM
(
    SELECT
        tenant_id,
        arrayJoin(folded_ids) AS customer_id,
        if(countIf(ended = '') > 0, minIf(uncollected_since, ended = ''), min(uncollected_since)) AS since
    FROM
    (
        SELECT tenant_id, folded_ids, uncollected_since, ended
        FROM contact_profile_versions
        ORDER BY tenant_id, profile_id, version DESC, _block_number
        LIMIT 1 BY tenant_id, profile_id
    )
    WHERE ended IN ('', 'expired')
    GROUP BY tenant_id, customer_id
)
WHERE since IS NOT NULL
