-- A row is one part of the snapshot of one customer; about says which: the attributes, the consent to a purpose, a
-- lifted suppression (purpose is the scope, value the rule), or that a contact profile names the customer, whose
-- objections then have to be read. at_ms is the time of the consent, or of the lift. The caller pairs tenants with
-- customers. Contact profiles name customers with folded addresses.
SELECT
    toString(v.tenant_id) AS tenant_id,
    v.customer_id AS customer_id,
    'attributes' AS about,
    '' AS purpose,
    toInt64(0) AS at_ms,
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
    toUnixTimestamp64Milli(max(c.stated_at)) AS at_ms,
    toString(argMax(c.status, (c.stated_at, c.status))) AS value
FROM consent_log AS c
WHERE c.tenant_id IN {tenants:Array(String)}
    AND c.customer_id IN {customers:Array(String)}
GROUP BY c.tenant_id, c.customer_id, c.purpose
UNION ALL
SELECT
    toString(s.tenant_id) AS tenant_id,
    s.customer_id AS customer_id,
    'lift' AS about,
    s.scope_id AS purpose,
    toUnixTimestamp64Milli(max(s.lifted_at)) AS at_ms,
    s.rule_id AS value
FROM suppression_lifts AS s
WHERE s.tenant_id IN {tenants:Array(String)}
    AND s.customer_id IN {customers:Array(String)}
GROUP BY s.tenant_id, s.customer_id, s.scope_id, s.rule_id
UNION ALL
SELECT DISTINCT
    toString(p.tenant_id) AS tenant_id,
    arrayJoin(arrayIntersect(p.folded_ids, {folded:Array(String)})) AS customer_id,
    'contact profile' AS about,
    '' AS purpose,
    toInt64(0) AS at_ms,
    '' AS value
FROM contact_profile_versions AS p
WHERE p.tenant_id IN {tenants:Array(String)}
    AND hasAny(p.folded_ids, {folded:Array(String)})
SETTINGS max_threads = 1
