-- A row is what a decision must know of one customer: the attributes, the consent to a purpose, or that a contact profile has
-- named the customer, whose objections are then worth a look; about says which.
-- The caller pairs tenants with customers. Contact profiles name customers with addresses folded.
SELECT
    toString(v.tenant_id) AS tenant_id,
    v.customer_id AS customer_id,
    'attributes' AS about,
    '' AS purpose,
    argMax(if(v.is_deleted, '', v.attributes), (v.version, -toInt64(v._block_number))) AS value
FROM customer_versions AS v
WHERE v.tenant_id IN {tenants:Array(String)}
    AND v.customer_id IN {customers:Array(String)}
GROUP BY v.tenant_id, v.customer_id
UNION ALL
SELECT
    toString(c.tenant_id) AS tenant_id,
    c.customer_id AS customer_id,
    'consent' AS about,
    toString(c.purpose) AS purpose,
    toString(argMax(c.status, (c.stated_at, c.status))) AS value
FROM consents AS c
WHERE c.tenant_id IN {tenants:Array(String)}
    AND c.customer_id IN {customers:Array(String)}
GROUP BY c.tenant_id, c.customer_id, c.purpose
UNION ALL
SELECT DISTINCT
    toString(p.tenant_id) AS tenant_id,
    arrayJoin(arrayIntersect(p.folded_ids, {folded:Array(String)})) AS customer_id,
    'contact profile' AS about,
    '' AS purpose,
    '' AS value
FROM contact_profile_versions AS p
WHERE p.tenant_id IN {tenants:Array(String)}
    AND hasAny(p.folded_ids, {folded:Array(String)})
SETTINGS max_threads = 1
