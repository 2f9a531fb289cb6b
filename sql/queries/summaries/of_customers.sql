-- A row is one version of a summary row of one source, of customers who are asked about, in some periods or all. The caller
-- pairs tenants with customers, keeps the highest applied_offset (of equals the last stored, a repair) and adds up the
-- sources: a plain read costs a fraction of what the engine takes for FINAL, joins and windows.
-- What is packed begins with the period's key, so that no other column is needed to choose by it.
SELECT
    toString(s.tenant_id) AS tenant_id,
    s.customer_id AS customer_id,
    s.packed AS packed
FROM interaction_summary_state AS s
WHERE s.tenant_id IN {tenants:Array(String)}
    AND s.customer_id IN {customers:Array(String)}
    AND (
        empty({periods:Array(String)})
        OR has(arrayMap(key -> concat('["', key, '"'), {periods:Array(String)}), substringIndex(s.packed, ',', 1))
    )
SETTINGS max_threads = 1
