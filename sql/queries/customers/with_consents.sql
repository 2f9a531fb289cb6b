-- A row is what a decision must know of one customer: the attributes, where purpose is empty, or the consent to a purpose.
-- The caller pairs tenants with customers.
SELECT
    toString(v.tenant_id) AS tenant_id,
    v.customer_id AS customer_id,
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
    toString(c.purpose) AS purpose,
    toString(argMax(c.status, (c.stated_at, c.status))) AS value
FROM consents AS c
WHERE c.tenant_id IN {tenants:Array(String)}
    AND c.customer_id IN {customers:Array(String)}
GROUP BY c.tenant_id, c.customer_id, c.purpose
