-- A row is the latest link of one identifier whose customer, or whose value, is one of some texts.
SELECT
    toString(identifier_type) AS type,
    customer_ids[1] AS value,
    argMax(customer_ids[2], stored_at) AS customer_id,
    argMax(confidence, stored_at) AS confidence
FROM identity_links
WHERE tenant_id = {tenant_id:String}
    AND (identifier_type, customer_ids[1]) IN
    (
        SELECT identifier_type, customer_ids[1]
        FROM identity_links
        WHERE tenant_id = {tenant_id:String} AND hasAny(customer_ids, {names:Array(String)})
    )
GROUP BY type, value
ORDER BY type, value
