-- A row is one version of a summary row of customers whom decisions are about, of the periods that end now and of all
-- time. Versions that a merge has not yet removed are returned too: the caller keeps the highest applied_offset, of equals
-- the last stored (a repair), which is cheaper than FINAL. Rows of different sources are added up by the caller, who also
-- needs to know how far each reaches into its log. The caller pairs tenants with customers.
SELECT
    toString(s.tenant_id) AS tenant_id,
    s.customer_id AS customer_id,
    toString(s.period_key) AS period_key,
    s.offer_id AS offer_id,
    s.creative_id AS creative_id,
    s.channel_id AS channel_id,
    toString(s.source) AS source,
    s.applied_offset AS applied_offset,
    toUnixTimestamp64Milli(s.stored_at) AS stored_at_ms,
    s.impressions AS impressions,
    s.positive AS positive,
    s.negative AS negative,
    s.neutral AS neutral,
    s.converts AS converts,
    toUnixTimestamp64Milli(s.last_contact_at) AS last_contact_ms
FROM interaction_summary_state AS s
WHERE s.tenant_id IN {tenants:Array(String)}
    AND s.customer_id IN {customers:Array(String)}
    AND s.period_key IN {periods:Array(String)}
SETTINGS max_threads = 1
