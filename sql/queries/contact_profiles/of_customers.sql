-- A row is one contact profile of a tenant that has not ended and names one of the given customers, the newest first.
SELECT profile_id
FROM
(
    SELECT profile_id, folded_ids, ended
    FROM contact_profile_versions
    WHERE tenant_id = {tenant_id:String} AND profile_id IN
    (
        SELECT profile_id
        FROM contact_profile_versions
        WHERE tenant_id = {tenant_id:String} AND hasAny(folded_ids, {customer_ids:Array(String)})
    )
    ORDER BY profile_id, version DESC, _block_number
    LIMIT 1 BY profile_id
)
WHERE ended = '' AND hasAny(folded_ids, {customer_ids:Array(String)})
ORDER BY profile_id DESC
