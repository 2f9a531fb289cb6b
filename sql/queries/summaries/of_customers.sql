-- A row is one version of a summary row of one block of one source, of the given customers, in some periods or all. The
-- caller pairs tenants with customers, keeps the highest applied_offset (of equals the last stored, a repair) and adds up
-- blocks and sources: a plain read costs a fraction of FINAL, joins and windows.
SELECT
    toString(s.tenant_id) AS tenant_id,
    s.customer_id AS customer_id,
    toString(s.period_type) AS period_type,
    toString(s.period_key) AS period_key,
    s.offer_id AS offer_id,
    s.creative_id AS creative_id,
    s.channel_id AS channel_id,
    toString(s.source) AS source,
    s.block AS block,
    s.packed AS packed
FROM interaction_summary_state AS s
WHERE s.tenant_id IN {tenants:Array(String)}
    AND s.customer_id IN {customers:Array(String)}
    AND (empty({periods:Array(String)}) OR s.period_key IN {periods:Array(String)})
SETTINGS max_threads = 1
