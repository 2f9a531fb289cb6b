-- A row is one version of a summary row of one source, of customers who are asked about. The caller pairs tenants with
-- customers, keeps the highest applied_offset (of equals the last stored, a repair) and adds up the sources: a plain read
-- costs a fraction of what the engine takes for FINAL, joins and windows.
SELECT
    toString(s.tenant_id) AS tenant_id,
    s.customer_id AS customer_id,
    toString(s.period_type) AS period_type,
    toString(s.period_key) AS period_key,
    s.offer_id AS offer,
    s.creative_id AS creative,
    s.channel_id AS channel,
    toString(s.source) AS source,
    s.applied_offset AS applied_offset,
    toUnixTimestamp64Milli(s.stored_at) AS stored_at_ms,
    s.impressions AS impressions,
    s.positive AS positive,
    s.negative AS negative,
    s.neutral AS neutral,
    s.converts AS converts,
    s.total_value AS total_value,
    toUnixTimestamp64Milli(s.last_contact_at) AS last_contact_ms,
    toString(s.last_outcome) AS last_outcome,
    toString(s.last_direction) AS last_direction
FROM interaction_summary_state AS s
WHERE s.tenant_id IN {tenants:Array(String)}
    AND s.customer_id IN {customers:Array(String)}
SETTINGS max_threads = 1
