-- A row is one summary row of a customer whom a decision is about, of the periods that end now and of all time. Rows of
-- different sources are added up by the caller, who also needs to know how far each reaches into its log.
-- Frames: fact_customers (tenant_id, customer_id), fact_periods (period_key).
SELECT
    toString(s.tenant_id) AS tenant_id,
    s.customer_id AS customer_id,
    toString(s.period_key) AS period_key,
    s.offer_id AS offer_id,
    s.creative_id AS creative_id,
    s.channel_id AS channel_id,
    toString(s.source) AS source,
    s.applied_offset AS applied_offset,
    s.impressions AS impressions,
    s.positive AS positive,
    s.negative AS negative,
    s.neutral AS neutral,
    s.converts AS converts,
    toUnixTimestamp64Milli(s.last_contact_at) AS last_contact_ms
FROM interaction_summary_state AS s FINAL
WHERE (s.tenant_id, s.customer_id) IN (SELECT tenant_id, customer_id FROM fact_customers)
    AND s.period_key IN (SELECT period_key FROM fact_periods)
