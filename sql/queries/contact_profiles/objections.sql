-- A row is one of the given customers whom a contact profile names, with the objections. Profiles that have not ended
-- decide; where all have ended, expired ones do.
SELECT
    tenant_id,
    customer_id,
    if(living, maxIf(prevents_collection, is_living), max(prevents_collection)) AS prevents_collection,
    if(living, maxIf(refuses_gdpr, is_living), max(refuses_gdpr)) AS refuses_gdpr,
    if(living, maxIf(NOT is_active, is_living), max(NOT is_active)) AS is_inactive,
    countIf(is_living) > 0 AS living
FROM
(
    SELECT
        tenant_id,
        arrayJoin(folded_ids) AS customer_id,
        prevents_collection,
        refuses_gdpr,
        is_active,
        ended = '' AS is_living
    FROM
    (
        SELECT tenant_id, folded_ids, prevents_collection, refuses_gdpr, is_active, ended
        FROM contact_profile_versions
        WHERE (tenant_id, profile_id) IN
        (
            SELECT tenant_id, profile_id
            FROM contact_profile_versions
            WHERE tenant_id IN {tenant_ids:Array(String)} AND hasAny(folded_ids, {customer_ids:Array(String)})
        )
        ORDER BY tenant_id, profile_id, version DESC, _block_number
        LIMIT 1 BY tenant_id, profile_id
    )
    WHERE ended IN ('', 'expired')
)
WHERE customer_id IN {customer_ids:Array(String)}
GROUP BY tenant_id, customer_id
